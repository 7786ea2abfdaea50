/* The casebook: each death is charged once, each case is closed once. */
import assert from "node:assert/strict";
import type { Case, Charge, Orphan, Settlement, Store } from "../../store.ts";
import type { SuiteTest } from "../runner.ts";
import { claimOf, eventOf, inStore, INTERVAL, LONG, orphanOf, QUEUE } from "./scene.ts";
import type { Scene } from "./scene.ts";

const charged = (orphan: Orphan): Charge => ({ orphan, charged: true });

export async function openOne(store: Store, orphan: Orphan, window: number = LONG): Promise<Case> {
  const [opened] = await store.casebook.open([charged(orphan)], window);
  assert.ok(opened);
  assert.deepEqual(opened.orphan, orphan);
  return opened;
}

export function settlementOf(orphan: Orphan): Settlement {
  return { orphan, outcome: "requeued", event: eventOf({ job: orphan.id, run: orphan.run }) };
}

async function pendingOrphans(scene: Scene, queue: string = QUEUE): Promise<Orphan[]> {
  return (await scene.other.casebook.pending(queue)).map(({ orphan }) => orphan);
}

const budget: readonly SuiteTest<Scene>[] = [
  inStore("two who open the same case charge the death once", async (scene) => {
    const orphan = orphanOf("a.1");
    const opened = await Promise.all([scene.store, scene.other, scene.store].map((store) => openOne(store, orphan)));
    assert.deepEqual(
      opened.map(({ deaths }) => deaths),
      [1, 1, 1],
    );
    assert.equal(new Set(opened.map(({ openedAt }) => openedAt)).size, 1);
    assert.equal(await scene.other.casebook.deaths(QUEUE, "1", LONG), 1);
  }),
  inStore("every further death of a job counts, in every run", async (scene) => {
    for (const [i, holder] of ["a.1", "b.2", "c.3"].entries()) {
      const { deaths } = await openOne(scene.store, orphanOf(holder, { run: i + 1 }));
      assert.equal(deaths, i + 1);
    }
    assert.equal(await scene.other.casebook.deaths(QUEUE, "1", LONG), 3);
    assert.equal(await scene.other.casebook.deaths(QUEUE, "2", LONG), 0);
  }),
  inStore("a death that was charged and settled is not charged again by one who comes late", async (scene) => {
    const orphan = orphanOf("a.1");
    await openOne(scene.store, orphan);
    await scene.store.casebook.settle([settlementOf(orphan)]);
    assert.equal((await openOne(scene.other, orphan)).deaths, 1);
  }),
  inStore("the death of one that was leaving is not charged, but its case is opened", async (scene) => {
    const orphan = orphanOf("a.1");
    const [opened] = await scene.store.casebook.open([{ orphan, charged: false }], LONG);
    assert.equal(opened?.deaths, 0);
    assert.equal(await scene.other.casebook.deaths(QUEUE, "1", LONG), 0);
    assert.deepEqual(await pendingOrphans(scene), [orphan]);
  }),
  inStore("deaths older than the window do not count", async (scene) => {
    const window = 2 * INTERVAL;
    await openOne(scene.store, orphanOf("a.1"));
    await scene.harness.advance(window + INTERVAL);
    assert.equal(await scene.store.casebook.deaths(QUEUE, "1", window), 0);
    assert.equal((await openOne(scene.other, orphanOf("b.2", { run: 2 }), window)).deaths, 1);
  }),
  inStore("to open a case again does not make its death any younger", async (scene) => {
    const window = 3 * INTERVAL;
    const isForgotten = async (): Promise<boolean> => (await scene.other.casebook.deaths(QUEUE, "1", window)) === 0;
    let openings = 0;
    do {
      assert.ok(openings++ < 100, "a death that is charged again and again never leaves the window");
      await openOne(scene.store, orphanOf("a.1"), window);
      await scene.harness.advance(INTERVAL);
    } while (!(await isForgotten()));
  }),
  inStore("a pardon forgets the deaths of one job", async (scene) => {
    for (const id of ["1", "2"]) await openOne(scene.store, orphanOf("a.1", { id }));
    await scene.other.casebook.pardon(QUEUE, "1");
    assert.equal(await scene.store.casebook.deaths(QUEUE, "1", LONG), 0);
    assert.equal(await scene.store.casebook.deaths(QUEUE, "2", LONG), 1);
  }),
];

const cases: readonly SuiteTest<Scene>[] = [
  inStore("cases are answered in the order in which they were asked, of whatever queue", async (scene) => {
    const orphans = Array.from({ length: 250 }, (_, i) => orphanOf("a.1", { id: `${i}`, queue: `memory:${i % 3}` }));
    await openOne(scene.store, orphanOf("b.2", { id: "2", queue: "memory:2", run: 0 }));
    const opened = await scene.store.casebook.open(orphans.map(charged), LONG);
    assert.deepEqual(
      opened.map(({ orphan }) => orphan),
      orphans,
    );
    assert.deepEqual(
      opened.filter(({ deaths }) => deaths === 2).map(({ orphan }) => orphan.id),
      ["2"],
    );
    const closed = await scene.other.casebook.settle([...orphans, orphanOf("x.9")].map(settlementOf));
    assert.deepEqual(closed, [...orphans.map(() => true), false]);
  }),
  inStore("a case is pending in its queue until it is settled, whoever dies meanwhile", async (scene) => {
    const orphan = orphanOf("a.1");
    await openOne(scene.store, orphan);
    await openOne(scene.store, orphan);
    await scene.store.close();
    assert.deepEqual(await pendingOrphans(scene), [orphan]);
    assert.deepEqual(await pendingOrphans(scene, "memory:other"), []);
    const [pending] = await scene.other.casebook.pending(QUEUE);
    assert.equal(pending?.deaths, 1);
  }),
  inStore("a case that two settle is closed once and writes one event", async (scene) => {
    const orphan = orphanOf("a.1");
    await openOne(scene.store, orphan);
    const settlement = settlementOf(orphan);
    const closed = await Promise.all(
      [scene.store, scene.other, scene.store].map((s) => s.casebook.settle([settlement])),
    );
    assert.deepEqual(closed.flat().filter(Boolean), [true]);
    const [event, ...others] = await scene.history("recoveries");
    assert.deepEqual(others, []);
    assert.deepEqual({ ...event, ...settlement.event }, event);
    assert.deepEqual(await pendingOrphans(scene), []);
  }),
  inStore("one who opens a case after somebody settled it causes no second event", async (scene) => {
    const orphan = orphanOf("a.1");
    await openOne(scene.store, orphan);
    await scene.store.casebook.settle([settlementOf(orphan)]);
    await openOne(scene.other, orphan);
    assert.deepEqual(await pendingOrphans(scene), []);
    assert.deepEqual(await scene.other.casebook.settle([settlementOf(orphan)]), [false]);
    assert.equal((await scene.history("recoveries")).length, 1);
  }),
  inStore("nor does one who slept meanwhile, while the same job died and was given back once more", async (scene) => {
    const orphan = orphanOf("a.1", { run: 1 });
    for (const one of [orphan, orphanOf("b.2", { run: 2 })]) {
      await openOne(scene.store, one);
      assert.deepEqual(await scene.store.casebook.settle([settlementOf(one)]), [true]);
    }
    await openOne(scene.other, orphan);
    assert.deepEqual(await pendingOrphans(scene), []);
    assert.equal((await scene.history("recoveries")).length, 2);
  }),
  inStore("to settle a case removes the claim of the dead holder, and no other", async (scene) => {
    const dead = await scene.join();
    const living = await scene.join();
    for (const { incarnation } of [dead, living]) {
      await scene.store.ledger.claim(incarnation, { add: [claimOf(), claimOf({ id: "2" })], remove: [] });
    }
    const orphan = orphanOf(dead.incarnation);
    await openOne(scene.store, orphan);
    await scene.other.casebook.settle([settlementOf(orphan)]);
    assert.deepEqual(
      (await scene.other.ledger.claimsOf(dead.incarnation)).map(({ id }) => id),
      ["2"],
    );
    assert.equal((await scene.other.ledger.claimsOf(living.incarnation)).length, 2);
  }),
  ...([{ run: 2 }, { holder: "b.2" }, { id: "2" }, { queue: "memory:other" }] as const).map((change) =>
    inStore(`to settle with another ${Object.keys(change)[0]} closes nothing and writes nothing`, async (scene) => {
      const dead = await scene.join();
      await scene.store.ledger.claim(dead.incarnation, { add: [claimOf()], remove: [] });
      const orphan = orphanOf(dead.incarnation);
      await openOne(scene.store, orphan);
      assert.deepEqual(await scene.other.casebook.settle([settlementOf({ ...orphan, ...change })]), [false]);
      assert.deepEqual(await pendingOrphans(scene), [orphan]);
      assert.deepEqual(await scene.history("recoveries"), []);
      assert.equal((await scene.other.ledger.claimsOf(dead.incarnation)).length, 1);
    }),
  ),
  inStore("the case of a later run silently closes that of an earlier one", async (scene) => {
    await openOne(scene.store, orphanOf("a.1", { run: 1 }));
    const later = orphanOf("b.2", { run: 2 });
    assert.equal((await openOne(scene.other, later)).deaths, 2);
    assert.deepEqual(await pendingOrphans(scene), [later]);
    assert.deepEqual(await scene.history("recoveries"), []);
  }),
  ...([1, 2] as const).map((run) =>
    inStore(`a case of run 2 stands when somebody opens one of run ${run} with another holder`, async (scene) => {
      const standing = orphanOf("b.2", { run: 2 });
      await openOne(scene.store, standing);
      await openOne(scene.other, orphanOf("a.1", { run }));
      assert.deepEqual(await pendingOrphans(scene), [standing]);
    }),
  ),
  inStore("a case is closed whatever its run, its holder and its id are made of", async (scene) => {
    const odd = [
      { run: -5 },
      { run: 1.5 },
      { run: 1e22 },
      { holder: 'a "quoted" \\ one.1' },
      { id: '"run":7,"holder":"b.2"' },
      { name: '","run":9,"holder":"c.3' },
    ];
    for (const change of odd) {
      const orphan = orphanOf("a.1", { id: JSON.stringify(change), ...change });
      await openOne(scene.store, orphan);
      assert.deepEqual(await scene.other.casebook.settle([settlementOf({ ...orphan, run: 7, holder: "b.2" })]), [
        false,
      ]);
      assert.deepEqual(await scene.other.casebook.settle([settlementOf({ ...orphan, run: 9, holder: "c.3" })]), [
        false,
      ]);
      assert.deepEqual(await scene.other.casebook.settle([settlementOf(orphan)]), [true]);
    }
    assert.deepEqual(await pendingOrphans(scene), []);
    assert.equal((await scene.history("recoveries")).length, odd.length);
  }),
  inStore("queues and ids that look alike never share a case or a budget", async (scene) => {
    const pairs = [
      ["a:b", "c"],
      ["a", "b:c"],
      ["a", "{b}:c"],
      ["a", 'b","c'],
      ["a b", "ü 名 🎉"],
      ["a", "b%3Ac"],
    ] as const;
    for (const [queue, id] of pairs)
      assert.equal((await openOne(scene.store, orphanOf("a.1", { queue, id }))).deaths, 1);
    assert.equal((await scene.other.ledger.counts()).pending, pairs.length);
    for (const [queue, id] of pairs) {
      await scene.store.casebook.pardon(queue, id);
      assert.equal(await scene.store.casebook.deaths(queue, id, LONG), 0);
      await scene.store.casebook.settle([settlementOf(orphanOf("a.1", { queue, id }))]);
    }
    assert.equal((await scene.other.ledger.counts()).pending, 0);
  }),
];

export const casebookTests: readonly SuiteTest<Scene>[] = [...budget, ...cases];
