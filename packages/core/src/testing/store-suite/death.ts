/* Deaths and retirements: final, declared once, and with their evidence. */
import assert from "node:assert/strict";
import type { DeathCause, InstanceRecord } from "../../store.ts";
import type { SuiteTest } from "../runner.ts";
import { claimOf, GRACE, inStore, INTERVAL, LONG, registrationOf, TTL } from "./scene.ts";
import type { Scene } from "./scene.ts";

const EVIDENT: readonly DeathCause[] = ["lapsed", "absent", "replaced"];

async function assertFenced(scene: Scene, incarnation: string): Promise<void> {
  const registration = registrationOf({ incarnation });
  assert.equal(await scene.beat(registration), "fenced");
  assert.deepEqual(await scene.other.roster.register(registration), { fenced: true, siblings: [] });
  assert.equal((await record(scene, incarnation))?.state, undefined, "it is not registered");
  assert.equal(await scene.other.ledger.claim(incarnation, { add: [claimOf()], remove: [] }), false);
  assert.equal(await scene.beat(registration), "fenced");
}

async function record(scene: Scene, incarnation: string): Promise<InstanceRecord | undefined> {
  const { items } = await scene.other.roster.instances({ limit: 1_000 });
  return items.find((item) => item.registration.incarnation === incarnation);
}

const deaths: readonly SuiteTest<Scene>[] = [
  inStore("an incarnation with a tombstone can never beat, register or claim again", async (scene) => {
    const dead = await scene.join();
    await scene.die(dead);
    await assertFenced(scene, dead.incarnation);
    await scene.store.roster.forget(dead.incarnation);
    await assertFenced(scene, dead.incarnation);
  }),
  inStore("a beat that comes before the declaration prevents it", async (scene) => {
    const living = await scene.join({ ttl: TTL });
    await scene.untilSuspected(living, "lapsed");
    assert.equal(await scene.beat(living), "alive");
    assert.equal(await scene.store.roster.declare({ incarnation: living.incarnation, cause: "lapsed" }), undefined);
    assert.equal(await scene.beat(living), "alive");
  }),
  inStore("of many who declare a death exactly one does, and one event is written", async (scene) => {
    const lapsing = await scene.join({ ttl: TTL });
    const before = await scene.untilSuspected(lapsing, "lapsed");
    const suspect = { incarnation: lapsing.incarnation, cause: "lapsed" } as const;
    const all = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? scene.store : scene.other).roster.declare(suspect));
    const declared = (await Promise.all(all)).filter((death) => death !== undefined);
    assert.equal(declared.length, 1);
    assert.equal((await scene.look()).deaths, before.deaths + 1);
    assert.equal((await scene.history("deaths")).length, 1);
  }),
  inStore("a death tells who, why and by what evidence, and so does its event", async (scene) => {
    const lapsing = await scene.join({ ttl: TTL, name: "pod-7" });
    const look = await scene.untilSuspected(lapsing, "lapsed");
    const death = await scene.other.roster.declare({ incarnation: lapsing.incarnation, cause: "lapsed" });
    assert.ok(death);
    assert.deepEqual(death.registration, lapsing);
    assert.deepEqual([death.cause, death.leaving, death.observed], ["lapsed", false, look.observed]);
    assert.ok(death.evidence.length > 0 && death.at > 0);
    assert.deepEqual(await scene.store.roster.dead(), [death]);
    const [event] = await scene.history("deaths");
    assert.deepEqual([event?.type, event?.who, event?.detail], ["instance.dead", lapsing.incarnation, "lapsed"]);
    assert.equal(event?.evidence, death.evidence);
  }),
  ...EVIDENT.map((cause) =>
    inStore(`nobody who lives, and nobody unknown, is declared dead as ${cause}`, async (scene) => {
      const { incarnation } = await scene.joinPresent({ grace: 0 });
      await scene.join(); // a newer one of the same name
      await scene.watchFor(2 * INTERVAL, () => {});
      assert.equal(await scene.store.roster.declare({ incarnation, cause }), undefined);
      assert.equal(await scene.store.roster.declare({ incarnation: "nobody.0", cause }), undefined);
      assert.deepEqual(await scene.store.roster.dead(), []);
    }),
  ),
  inStore("one that leaves may declare itself dead without evidence", async (scene) => {
    const leaving = await scene.join();
    await scene.store.roster.leave(leaving.incarnation);
    const death = await scene.store.roster.declare({ incarnation: leaving.incarnation, cause: "left" });
    assert.deepEqual([death?.cause, death?.leaving], ["left", true]);
  }),
  inStore("a guest is declared dead as the books of its queue report it, with their words", async (scene) => {
    const guest = await scene.join();
    const evidence = 'its record has "lapsed"';
    const { incarnation } = guest;
    const death = await scene.store.roster.declare({ incarnation, cause: "reported", evidence });
    assert.deepEqual([death?.cause, death?.evidence], ["reported", evidence]);
    assert.equal((await scene.other.roster.register(guest)).fenced, true);
    assert.equal(await scene.other.roster.declare({ incarnation, cause: "reported", evidence }), undefined);
    assert.deepEqual(
      (await scene.other.roster.dead()).map((one) => one.evidence),
      [evidence],
    );
  }),
  inStore(
    "a death after the retirement began is marked as one of a leaving, also when it registered again",
    async (scene) => {
      const leaving = await scene.join({ ttl: TTL });
      await scene.store.roster.leave(leaving.incarnation);
      await scene.store.roster.register(leaving);
      await scene.untilSuspected(leaving, "lapsed");
      const death = await scene.other.roster.declare({ incarnation: leaving.incarnation, cause: "lapsed" });
      assert.equal(death?.leaving, true);
    },
  ),
  inStore("the dead are listed oldest first, with their claims, until they are forgotten", async (scene) => {
    const dead = [await scene.join(), await scene.join(), await scene.join()];
    for (const { incarnation } of dead) {
      await scene.store.ledger.claim(incarnation, { add: [claimOf({ id: incarnation })], remove: [] });
    }
    for (const one of dead.toReversed()) {
      await scene.pass();
      await scene.die(one);
    }
    const listed = await scene.other.roster.dead();
    const order = dead.map(({ incarnation }) => incarnation).toReversed();
    assert.deepEqual(
      listed.map(({ registration }) => registration.incarnation),
      order,
    );
    assert.equal((await scene.other.ledger.counts()).claims, 3);
    await scene.store.roster.forget(order[1]!);
    await scene.store.roster.forget(order[1]!);
    assert.equal((await scene.other.roster.dead()).length, 2);
    assert.deepEqual(await scene.other.ledger.claimsOf(order[1]!), []);
  }),
  inStore("a suspect that retired meanwhile is not declared dead", async (scene) => {
    const lapsing = await scene.join({ ttl: TTL });
    await scene.untilSuspected(lapsing, "lapsed");
    await scene.other.roster.retire(lapsing.incarnation);
    assert.equal(await scene.store.roster.declare({ incarnation: lapsing.incarnation, cause: "lapsed" }), undefined);
    assert.deepEqual(await scene.store.roster.dead(), []);
  }),
];

const retirements: readonly SuiteTest<Scene>[] = [
  inStore("one that retired is gone, with its claims and duties, and can never act again", async (scene) => {
    const leaving = await scene.join();
    const { incarnation } = leaving;
    const duty = { duties: ["a"], dutyTtl: LONG, interval: INTERVAL };
    const before = await scene.store.roster.look({ by: incarnation, ...duty });
    await scene.store.ledger.claim(incarnation, { add: [claimOf()], remove: [] });
    await scene.store.roster.retire(incarnation);
    await assertFenced(scene, incarnation);
    assert.deepEqual(await scene.other.ledger.claimsOf(incarnation), []);
    const { incarnation: heir } = await scene.join();
    const after = await scene.store.roster.look({ by: heir, ...duty });
    assert.deepEqual([before.held, after.held, after.deaths], [["a"], ["a"], before.deaths]);
    assert.deepEqual(await scene.other.roster.dead(), []);
  }),
  inStore("a retirement is recorded once, however often it is repeated", async (scene) => {
    const leaving = await scene.join();
    for (let i = 0; i < 3; i++) await scene.store.roster.retire(leaving.incarnation);
    const events = await scene.history("deaths");
    assert.deepEqual(
      events.map(({ type, who }) => [type, who]),
      [["instance.retired", leaving.incarnation]],
    );
  }),
  inStore("one whose record was lost leaves a tombstone too when it retires", async (scene) => {
    const lost = registrationOf();
    await scene.store.roster.retire(lost.incarnation);
    await assertFenced(scene, lost.incarnation);
  }),
  inStore(
    "one that may return leaves no tombstone, also when it was told twice; a dead one stays dead",
    async (scene) => {
      const guest = await scene.join();
      for (let i = 0; i < 2; i++) await scene.store.roster.retire(guest.incarnation, true);
      assert.equal((await scene.store.roster.register(guest)).fenced, false);
      await scene.store.roster.declare({ incarnation: guest.incarnation, cause: "left" });
      await scene.store.roster.retire(guest.incarnation, true);
      assert.equal((await scene.store.roster.register(guest)).fenced, true);
    },
  ),
  inStore("to retire a dead one changes nothing: its claims still help to recover its jobs", async (scene) => {
    const dead = await scene.join();
    await scene.store.ledger.claim(dead.incarnation, { add: [claimOf()], remove: [] });
    await scene.die(dead);
    await scene.store.roster.retire(dead.incarnation);
    assert.equal((await scene.other.roster.dead()).length, 1);
    assert.equal((await scene.other.ledger.claimsOf(dead.incarnation)).length, 1);
    assert.equal((await scene.history("deaths")).length, 1);
  }),
];

const states: readonly SuiteTest<Scene>[] = [
  inStore("the roster shows each instance with its state and the evidence for it", async (scene) => {
    const alive = await scene.join();
    const late = await scene.join({ interval: GRACE });
    const blocked = await scene.join();
    const leaving = await scene.join();
    await scene.beat(blocked, 5_000);
    await scene.store.roster.leave(leaving.incarnation);
    await scene.until((look) => look.late.includes(late.incarnation), "one is late");
    const expected = { alive, late, blocked, leaving };
    for (const [state, registration] of Object.entries(expected)) {
      const shown = await record(scene, registration.incarnation);
      assert.deepEqual(shown?.registration, registration);
      assert.equal(shown.state, state);
      assert.ok(shown.evidence.length > 0);
    }
  }),
  inStore("a new registration replaces the former one", async (scene) => {
    const living = await scene.join();
    const renewed = { ...living, holders: { "memory:other": ["x", "y"] } };
    await scene.store.roster.register(renewed);
    assert.deepEqual((await record(scene, living.incarnation))?.registration, renewed);
    assert.equal((await scene.look()).population, 2); // the watcher and this one
  }),
  inStore("each registration, retirement and death makes a cached roster stale; a beat does not", async (scene) => {
    const seen = [(await scene.look()).changes];
    const note = async (): Promise<void> => void seen.push((await scene.look()).changes);
    const one = await scene.join();
    await note();
    const another = await scene.join();
    await note();
    await scene.store.roster.retire(one.incarnation);
    await note();
    await scene.die(another);
    await note();
    assert.deepEqual(
      seen,
      [...new Set(seen)].toSorted((a, b) => a - b),
      "it only grows",
    );
    await scene.look();
    assert.equal((await scene.look()).changes, seen.at(-1));
  }),
  inStore("an emptied server answers unknown, and lets everybody register again", async (scene) => {
    const living = await scene.join();
    await scene.restart({ wipe: true });
    assert.equal(await scene.beat(living), "unknown");
    assert.equal((await scene.other.roster.register(living)).fenced, false);
    assert.equal(await scene.beat(living), "alive");
  }),
];

export const deathTests: readonly SuiteTest<Scene>[] = [...deaths, ...retirements, ...states];
