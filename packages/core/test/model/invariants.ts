/* What must hold after every step, whatever it was. The numbers are those of docs/state-machine.md.
 *
 * The steps assert what is answered to them; here everything that can be read is read, and compared with the facts.
 */
import assert from "node:assert/strict";
import type { Store } from "@assured-jobs/core";
import { statesOf } from "./evidence.ts";
import { caseKey, QUEUE, WINDOW } from "./model.ts";
import type { Model } from "./model.ts";
import { claimKey } from "./steps/claims.ts";
import { checkSuspects } from "./steps/suspects.ts";
import type { World } from "./world.ts";

const ALL = { limit: 1_000 };

export async function checkInvariants(model: Model, world: World): Promise<void> {
  checkJobs(model, world);
  if (!model.up) {
    await assert.rejects(world.server.stores[0].ledger.counts(), "a store that is down answers nothing");
    return;
  }
  const [store, other] = world.server.stores;
  await Promise.all([
    checkRoster(model, store),
    checkDead(model, other),
    checkCases(model, store),
    checkBudgets(model, other),
    checkLedger(model, store),
    checkHistory(model, other),
    checkSuspects(model, world),
  ]);
}

/* I9, I10: each job is in one place, and it is the place where the last accepted move put it. */
function checkJobs({ jobs }: Model, { queue }: World): void {
  for (const [id, { state, run }] of jobs) {
    const job = queue.get(id);
    assert.deepEqual([job?.state, job?.run], [state, run], `${id} is where it was put`);
  }
  const held = [...jobs].filter(([, { state }]) => state === "held").map(([id, { holder }]) => `${id} ${holder}`);
  assert.deepEqual(queue.held.map(({ id, holder }) => `${id} ${holder}`).toSorted(), held.toSorted());
}

/* I2, I5: who is registered is so by its own doing, and has no tombstone. */
async function checkRoster(model: Model, { roster }: Store): Promise<void> {
  const { items } = await roster.instances(ALL);
  const shown = new Map(items.map(({ registration, state }) => [registration.incarnation, state]));
  assert.deepEqual([...shown.keys()].toSorted(), [...model.members.keys()].toSorted(), "who is registered");
  for (const [incarnation, state] of shown) {
    const states = statesOf(model, incarnation);
    assert.ok(states.includes(state), `${incarnation} is shown as ${state}, and is ${states.join(" or ")}`);
    assert.ok(!model.tombstones.has(incarnation), `${incarnation} has a tombstone, and is registered`);
  }
}

/* I4: the dead are declared once, and stay listed until they are forgotten. */
async function checkDead(model: Model, { roster }: Store): Promise<void> {
  const dead = await roster.dead();
  const shown = dead.map(({ registration, cause, leaving }) => [registration.incarnation, cause, leaving].join(" "));
  const expected = [...model.dead].map(([incarnation, { cause, leaving }]) => [incarnation, cause, leaving].join(" "));
  assert.deepEqual(shown.toSorted(), expected.toSorted(), "who is listed as dead");
}

/* I11: at most one open case for each job, of the run that is recovered; none comes back that was settled. */
async function checkCases({ cases }: Model, { casebook }: Store): Promise<void> {
  const open = await casebook.pending(QUEUE);
  const expected = [...cases.values()].map(caseKey);
  assert.deepEqual(open.map(({ orphan }) => caseKey(orphan)).toSorted(), expected.toSorted(), "open cases");
}

/* I13: deaths are a set. */
async function checkBudgets({ jobs, charged }: Model, { casebook }: Store): Promise<void> {
  await Promise.all(
    [...jobs.keys()].map(async (id) => {
      assert.equal(await casebook.deaths(QUEUE, id, WINDOW), charged.get(id)?.size ?? 0, `deaths of ${id}`);
    }),
  );
}

async function checkLedger(model: Model, { ledger }: Store): Promise<void> {
  const [claims, buried, counts] = await Promise.all([ledger.claims(ALL), ledger.quarantined(ALL), ledger.counts()]);
  const shown = claims.items.map(({ holder, id, run }) => `${claimKey(holder, id)} ${run}`);
  assert.deepEqual(shown.toSorted(), [...model.claims].map(([key, run]) => `${key} ${run}`).toSorted(), "claims");
  const quarantined = buried.items.map(({ id, run }) => `${id} ${run}`);
  const expected = [...model.quarantine.values()].map(({ id, run }) => `${id} ${run}`);
  assert.deepEqual(quarantined.toSorted(), expected.toSorted(), "quarantine");
  assert.deepEqual(counts, {
    instances: model.members.size,
    dead: model.dead.size,
    claims: model.claims.size,
    quarantined: model.quarantine.size,
    pending: model.cases.size,
  });
}

/* I4, I12: one event for each death, one for each retirement, one for each settled case. */
async function checkHistory(model: Model, { ledger }: Store): Promise<void> {
  const [deaths, recoveries] = await Promise.all([ledger.history("deaths", ALL), ledger.history("recoveries", ALL)]);
  const of = (type: string): string[] => deaths.items.filter((event) => event.type === type).map(({ who }) => who);
  assert.deepEqual(of("instance.dead").toReversed(), model.died, "one event for each death");
  const retired = of("instance.retired");
  const known = retired.filter((who) => !model.strangers.includes(who));
  assert.equal(new Set(retired).size, retired.length, "one event for a retirement");
  assert.deepEqual(known.toReversed(), model.retired, "one event for each retirement, and none for the dead");
  const settled = recoveries.items.map(({ job, run, evidence }) =>
    caseKey({ id: job ?? "", run: run ?? 0, holder: evidence ?? "" }),
  );
  assert.deepEqual(settled.toSorted(), [...model.settled].toSorted(), "one event for each settled case");
}
