/* Suspects: who died together, and that one of them is out at a time. */
import assert from "node:assert/strict";
import type { SuiteTest } from "../runner.ts";
import { openOne, settlementOf } from "./casebook.ts";
import { inStore, LONG, orphanOf, QUEUE } from "./scene.ts";
import type { Scene } from "./scene.ts";

const OTHER = "memory:other";

const turns: readonly SuiteTest<Scene>[] = [
  inStore("of many suspects of a queue exactly one is out; the others wait", async (scene) => {
    const ids = Array.from({ length: 10 }, (_, i) => `${i}`);
    const out = await Promise.all(
      ids.map((id, i) => (i % 2 === 0 ? scene.store : scene.other).casebook.admit(QUEUE, id, [])),
    );
    assert.equal(out.filter(Boolean).length, 1);
    const all = await scene.other.casebook.suspects(QUEUE);
    assert.deepEqual(all.map(({ id }) => id).toSorted(), ids);
    assert.deepEqual(
      all.filter(({ state }) => state === "out").map(({ id }) => id),
      [`${out.indexOf(true)}`],
    );
    assert.equal(await scene.store.casebook.admit(OTHER, "1", []), true, "another queue has its own");
  }),
  inStore("the one that is out stays out until it is dismissed; then the next may go", async (scene) => {
    const { casebook } = scene.store;
    assert.equal(await casebook.admit(QUEUE, "a", []), true);
    assert.equal(await casebook.admit(QUEUE, "b", []), false);
    assert.equal(await casebook.admit(QUEUE, "a", []), true, "asked again after a lost reply");
    await scene.other.casebook.dismiss(QUEUE, "a");
    assert.equal(await casebook.admit(QUEUE, "b", []), true);
    assert.deepEqual(await casebook.suspects(QUEUE), [{ id: "b", state: "out" }]);
    await casebook.dismiss(QUEUE, "b");
    await casebook.dismiss(QUEUE, "b");
    assert.deepEqual(await casebook.suspects(QUEUE), []);
  }),
  inStore("parked suspects are listed longest waiting first, however often they ask", async (scene) => {
    for (const id of ["out", "z", "m", "a", "z"]) {
      await scene.store.casebook.admit(QUEUE, id, []);
      await scene.harness.advance(10); // apart by the store's clock
    }
    const parked = (await scene.other.casebook.suspects(QUEUE)).filter(({ state }) => state === "parked");
    assert.deepEqual(
      parked.map(({ id }) => id),
      ["z", "m", "a"],
    );
    await scene.store.casebook.dismiss(QUEUE, "m");
    assert.equal((await scene.other.casebook.suspects(QUEUE)).length, 3);
  }),
];

const companies: readonly SuiteTest<Scene>[] = [
  inStore("who died before and dies with others is suspected with them, whatever their queue", async (scene) => {
    for (const [queue, id] of [
      [QUEUE, "1"],
      [QUEUE, "2"],
      [OTHER, "1"],
    ] as const) {
      await openOne(scene.store, orphanOf("former", { queue, id }));
      if (id === "1") await openOne(scene.other, orphanOf("dead", { queue, id, run: 2 }));
    }
    await openOne(scene.store, orphanOf("dead", { id: "new", run: 1 }));
    assert.equal((await scene.store.casebook.company("dead")).suspects, 2);
    assert.equal((await scene.other.casebook.company("former")).suspects, 0);
  }),
  inStore(
    "one who dies again is suspected once, also when its case is opened again after its settlement",
    async (scene) => {
      await openOne(scene.store, orphanOf("former"));
      const orphan = orphanOf("dead", { run: 2 });
      await openOne(scene.store, orphan);
      await scene.store.casebook.settle([settlementOf(orphan)]);
      await openOne(scene.other, orphan);
      assert.equal((await scene.other.casebook.company("dead")).suspects, 1);
    },
  ),
  inStore("who is not charged is not suspected", async (scene) => {
    await openOne(scene.store, orphanOf("former"));
    await scene.store.casebook.open([{ orphan: orphanOf("dead", { run: 2 }), charged: false }], LONG);
    assert.equal((await scene.store.casebook.company("dead")).suspects, 0);
  }),
  inStore("a company is known as far as the queues were looked through", async (scene) => {
    assert.deepEqual(await scene.store.casebook.company("dead"), { suspects: 0, surveyed: [] });
    for (const queue of [QUEUE, OTHER, QUEUE]) await scene.store.casebook.survey(queue, "dead");
    assert.deepEqual((await scene.other.casebook.company("dead")).surveyed.toSorted(), [QUEUE, OTHER].toSorted());
    assert.deepEqual((await scene.other.casebook.company("b.2")).surveyed, []);
  }),
  inStore("of the suspects of queues that share processes one is out", async (scene) => {
    const [first, second] = await Promise.all([
      scene.store.casebook.admit(QUEUE, "1", [OTHER]),
      scene.other.casebook.admit(OTHER, "1", [QUEUE]),
    ]);
    assert.equal([first, second].filter(Boolean).length, 1);
    const [out, parked] = first ? [QUEUE, OTHER] : [OTHER, QUEUE];
    assert.deepEqual(await scene.store.casebook.suspects(parked), [{ id: "1", state: "parked" }]);
    await scene.store.casebook.dismiss(out, "1");
    assert.equal(await scene.other.casebook.admit(parked, "1", [out]), true);
  }),
  inStore("two that were let out side by side are parted when one of them is a suspect again", async (scene) => {
    const { casebook } = scene.store;
    await casebook.admit(QUEUE, "1", []);
    await casebook.admit(OTHER, "1", []);
    assert.equal(await casebook.admit(QUEUE, "1", [OTHER]), false);
    assert.equal(await scene.other.casebook.admit(OTHER, "1", [QUEUE]), true);
    assert.deepEqual(await casebook.suspects(QUEUE), [{ id: "1", state: "parked" }]);
  }),
];

export const suspectTests: readonly SuiteTest<Scene>[] = [...turns, ...companies];
