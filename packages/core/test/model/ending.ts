/* How every run ends: everybody dies, one newcomer watches and recovers, and then nothing may be left.
 *
 * Whatever happened before, the dead are found within a bounded number of looks, each of their jobs goes back once,
 * and no case stays open. This is what "never lost" means in the end.
 */
import assert from "node:assert/strict";
import { checkInvariants } from "./invariants.ts";
import { DUTIES, DUTY_TTL, GRACE, INTERVAL, note } from "./model.ts";
import type { Model, Process } from "./model.ts";
import { declareOne } from "./steps/deaths.ts";
import { beatOnce, bootOne, registerOne, vanishOne } from "./steps/life.ts";
import { startServer } from "./steps/outages.ts";
import { openAll, readAll, requeueOpened, settleMoved } from "./steps/recovery.ts";
import { lookOnce, passTime } from "./steps/watch.ts";
import type { World } from "./world.ts";

/** A lease of six intervals, of which a look sees two; the first look may see less. */
const MOST_LOOKS = 4;

export async function endAll(model: Model, world: World): Promise<void> {
  if (!model.up) await startServer(model, world, false);
  for (const one of model.processes) await die(model, world, one);
  const heir = await bootOne(model, world, { name: "blue", pulse: "thread", grace: GRACE, foreign: false });
  await passTime(model, world, 2 * DUTY_TTL);
  await watchUntilAlone(model, world, heir);
  await recoverAll(model, world);
  await checkInvariants(model, world);
  assert.deepEqual(world.queue.held, [], "nobody dead holds a job");
  assert.equal(model.cases.size, 0, "no case is open");
  note(model, "ended");
}

/* After a loss of all records those who live register again; only then can they be known to die. */
async function die(model: Model, world: World, one: Process): Promise<void> {
  const { incarnation } = one.registration;
  if (one.known && !one.gone && !model.members.has(incarnation) && !model.tombstones.has(incarnation))
    await registerOne(model, world, one);
  if (one.subscribed) await vanishOne(world, one);
}

async function watchUntilAlone(model: Model, world: World, heir: Process): Promise<void> {
  for (let looks = 0; model.members.size > 1; looks++) {
    assert.ok(looks < MOST_LOOKS, `after ${looks} looks some of the dead are still believed alive`);
    await beatOnce(model, world, heir, 0);
    await passTime(model, world, 2 * INTERVAL);
    await lookOnce(model, world, heir, DUTIES);
    for (const suspect of model.suspicions) await declareOne(model, world, suspect);
  }
}

/* A second pass finds what a former recoverer had left. */
async function recoverAll(model: Model, world: World): Promise<void> {
  const [one] = model.recoverers;
  for (let pass = 0; pass < 2; pass++) {
    await readAll(model, world, one!);
    if (one!.read.length === 0) continue;
    await openAll(model, world, one!);
    await requeueOpened(model, world, one!);
    await settleMoved(model, world, one!);
  }
}
