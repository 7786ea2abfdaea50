/* Duties: one holder at a time, and never for long when it is gone. */
import assert from "node:assert/strict";
import type { Incarnation } from "../../instance.ts";
import type { Store } from "../../store.ts";
import type { SuiteTest } from "../runner.ts";
import { inStore, INTERVAL, LONG, registrationOf, TTL } from "./scene.ts";
import type { Scene } from "./scene.ts";

interface Wanted {
  readonly duties?: readonly string[];
  readonly dutyTtl?: number;
}

/** A look that wants duty `a` for long, unless told otherwise; returns what is held. */
async function take(store: Store, by: Incarnation, wanted: Wanted = {}): Promise<readonly string[]> {
  const { held } = await store.roster.look({ by, duties: ["a"], dutyTtl: LONG, interval: INTERVAL, ...wanted });
  return held;
}

export const dutyTests: readonly SuiteTest<Scene>[] = [
  inStore("of many who want a duty at once exactly one gets it", async (scene) => {
    const wanting = await Promise.all(Array.from({ length: 10 }, () => scene.join()));
    const held = await Promise.all(
      wanting.map(({ incarnation }, i) => take(i % 2 === 0 ? scene.store : scene.other, incarnation)),
    );
    assert.equal(held.flat().length, 1);
  }),
  inStore("each duty has a holder of its own, and only those wanted are taken", async (scene) => {
    const one = await scene.join();
    const another = await scene.join();
    assert.deepEqual(await take(scene.store, one.incarnation), ["a"]);
    assert.deepEqual(await take(scene.other, another.incarnation, { duties: ["a", "b: {odd} 名"] }), ["b: {odd} 名"]);
    assert.deepEqual(await take(scene.store, one.incarnation, { duties: ["a", "b: {odd} 名"] }), ["a"]);
  }),
  inStore("a duty stays with its holder as long as it looks", async (scene) => {
    const holder = await scene.join();
    const other = await scene.join();
    const dutyTtl = 6 * INTERVAL;
    for (let i = 0; i < 5; i++) {
      assert.deepEqual(await take(scene.store, holder.incarnation, { dutyTtl }), ["a"]);
      assert.deepEqual(await take(scene.other, other.incarnation, { dutyTtl }), []);
      await scene.harness.advance(2 * INTERVAL);
    }
  }),
  inStore("a duty lapses after the last look of its holder, who then has to wait for it like others", async (scene) => {
    const holder = await scene.join();
    const heir = await scene.join();
    await take(scene.store, holder.incarnation, { dutyTtl: 2 * INTERVAL });
    await scene.harness.advance(3 * INTERVAL);
    assert.deepEqual(await take(scene.other, heir.incarnation), ["a"]);
    assert.deepEqual(await take(scene.store, holder.incarnation), []);
  }),
  inStore("a duty of one that was seen present and is gone is free at once", async (scene) => {
    const holder = await scene.joinPresent();
    const heir = await scene.join();
    await take(scene.store, holder.incarnation);
    assert.deepEqual(await take(scene.other, heir.incarnation), []);
    await scene.vanish(holder);
    assert.deepEqual(await take(scene.other, heir.incarnation), ["a"]);
  }),
  inStore("a duty of one that was never seen present is not free before it lapses", async (scene) => {
    const holder = await scene.join();
    const other = await scene.join();
    await take(scene.store, holder.incarnation);
    await scene.watchFor(3 * INTERVAL, () => {});
    assert.deepEqual(await take(scene.other, other.incarnation), []);
  }),
  inStore("only a registered incarnation that is not dead may take a duty", async (scene) => {
    const dead = await scene.join();
    const retired = await scene.join();
    await take(scene.store, dead.incarnation);
    await scene.die(dead);
    await scene.store.roster.retire(retired.incarnation);
    for (const { incarnation } of [dead, retired, registrationOf()]) {
      assert.deepEqual(await take(scene.store, incarnation), []);
    }
    const { incarnation: heir } = await scene.join();
    assert.deepEqual(await take(scene.other, heir), ["a"], "the dead one keeps nobody waiting");
  }),
  inStore("a duty that is given up is free at once; nobody gives up that of another", async (scene) => {
    const holder = await scene.join();
    const other = await scene.join();
    await take(scene.store, holder.incarnation);
    await scene.other.roster.yieldDuties(other.incarnation, ["a"]);
    assert.deepEqual(await take(scene.other, other.incarnation), []);
    await scene.store.roster.yieldDuties(holder.incarnation, ["a", "never held"]);
    assert.deepEqual(await take(scene.other, other.incarnation), ["a"]);
  }),
  inStore("suspects are shown to the one on watch only, everything else to everybody", async (scene) => {
    const lapsing = await scene.join({ ttl: TTL });
    const by = await scene.join({ interval: INTERVAL });
    const watched = await scene.untilSuspected(lapsing, "lapsed");
    const look = await scene.other.roster.look({
      by: by.incarnation,
      duties: ["a"],
      dutyTtl: LONG,
      interval: INTERVAL,
    });
    assert.deepEqual(look, { ...watched, held: ["a"], suspects: [] });
  }),
];
