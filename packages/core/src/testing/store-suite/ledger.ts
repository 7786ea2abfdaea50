/* The ledger: claims, history, quarantine and pages. */
import assert from "node:assert/strict";
import type { HistoryKind, Page, PageRequest, Quarantined } from "../../store.ts";
import type { SuiteTest } from "../runner.ts";
import { claimOf, eventOf, inStore, LONG, orphanOf, QUEUE, registrationOf } from "./scene.ts";
import type { Scene } from "./scene.ts";

const KINDS: readonly HistoryKind[] = ["deaths", "recoveries", "actions"];
/** Newest events that every history keeps; some more may stay. */
const KEPT: Readonly<Record<HistoryKind, number>> = { deaths: 1_000, recoveries: 10_000, actions: 10_000 };

function buried(change: Partial<Quarantined> = {}): Omit<Quarantined, "at"> {
  return { queue: QUEUE, id: "1", name: "pay", run: 3, deaths: 3, holder: "a.1", reason: "it died 3 times", ...change };
}

/** All pages of a listing; `between` happens after the first of them. */
async function readAll<T>(
  read: (page: PageRequest) => Promise<Page<T>>,
  limit: number,
  between: () => Promise<unknown> = async () => {},
): Promise<T[]> {
  const all: T[] = [];
  let page = await read({ limit });
  all.push(...page.items);
  await between();
  while (page.cursor !== undefined) {
    assert.ok(page.items.length <= limit, "a page holds no more than was asked for");
    page = await read({ limit, cursor: page.cursor });
    all.push(...page.items);
  }
  return all;
}

/** A listing: how to put an item with this id into it, how to take it out again, and how to read the ids. */
interface Listing {
  readonly what: string;
  add(scene: Scene, id: string): Promise<unknown>;
  remove?(scene: Scene, id: string): Promise<unknown>;
  read(scene: Scene, page: PageRequest): Promise<Page<string>>;
}

const idsOf = <T>({ items, ...rest }: Page<T>, id: (item: T) => string): Page<string> => ({
  ...rest,
  items: items.map(id),
});

const LISTINGS: readonly Listing[] = [
  {
    what: "instances",
    add: ({ store }, id) => store.roster.register(registrationOf({ incarnation: id })),
    remove: ({ other }, id) => other.roster.retire(id),
    read: async ({ other }, page) => idsOf(await other.roster.instances(page), (item) => item.registration.incarnation),
  },
  {
    what: "claims",
    add: async ({ store }, id) => {
      const incarnation = `holder.${id.slice(-1)}`;
      await store.roster.register(registrationOf({ incarnation }));
      await store.ledger.claim(incarnation, { add: [claimOf({ id })], remove: [] });
    },
    remove: ({ other }, id) => other.ledger.claim(`holder.${id.slice(-1)}`, { add: [], remove: [claimOf({ id })] }),
    read: async ({ other }, page) => idsOf(await other.ledger.claims(page), (claim) => claim.id),
  },
  {
    what: "quarantined jobs",
    add: ({ store }, id) => store.ledger.quarantine(buried({ id })),
    remove: ({ other }, id) => other.ledger.unquarantine(QUEUE, id),
    read: async ({ other }, page) => idsOf(await other.ledger.quarantined(page), (job) => job.id),
  },
  ...KINDS.map((kind): Listing => ({
    what: `the history of ${kind}`,
    add: ({ store }, id) => store.ledger.record(kind, eventOf({ job: id })),
    read: async ({ other }, page) => idsOf(await other.ledger.history(kind, page), (event) => event.job ?? ""),
  })),
];

const PAGED = Array.from({ length: 25 }, (_, i) => `item-${String(i).padStart(2, "0")}`);
const isPaged = (id: string): boolean => id.startsWith("item-");

const pages = LISTINGS.flatMap((listing) => [
  inStore(`every page size shows all ${listing.what}, each once`, async (scene) => {
    for (const id of PAGED) await listing.add(scene, id);
    for (const limit of [1, 7, 25, 1_000]) {
      const ids = await readAll((page) => listing.read(scene, page), limit);
      assert.deepEqual(ids.filter(isPaged).toSorted(), PAGED, `in pages of ${limit}`);
    }
  }),
  inStore(`pages of ${listing.what} miss nothing and repeat nothing while others come and go`, async (scene) => {
    const passing = ["aa-0", "item-12-b", "zz-9"];
    for (const id of [...PAGED.slice(0, 12), ...passing, ...PAGED.slice(12)]) await listing.add(scene, id);
    const change = async (): Promise<void> => {
      for (const id of passing) await listing.remove?.(scene, id);
      for (const id of ["aa-1", "item-13-b", "zz-8"]) await listing.add(scene, id);
    };
    const ids = await readAll((page) => listing.read(scene, page), 5, change);
    assert.deepEqual(ids.filter((id) => PAGED.includes(id)).toSorted(), PAGED);
    assert.equal(new Set(ids).size, ids.length, "nothing is shown twice");
  }),
]);

const claims: readonly SuiteTest<Scene>[] = [
  inStore("claims of a run are added and removed in one step", async (scene) => {
    const { incarnation } = await scene.join();
    const first = claimOf({ id: "1" });
    const second = claimOf({ id: "2", since: 2 });
    assert.equal(await scene.store.ledger.claim(incarnation, { add: [first], remove: [] }), true);
    assert.equal(await scene.store.ledger.claim(incarnation, { add: [second], remove: [first] }), true);
    assert.deepEqual(await scene.other.ledger.claimsOf(incarnation), [{ ...second, holder: incarnation }]);
    assert.deepEqual(await scene.other.ledger.claimsOf("nobody.0"), []);
  }),
  inStore("the end of an earlier run does not remove the claim of a later one of the same job", async (scene) => {
    const { incarnation } = await scene.join();
    await scene.store.ledger.claim(incarnation, { add: [claimOf({ run: 1 })], remove: [] });
    await scene.store.ledger.claim(incarnation, { add: [claimOf({ run: 2 })], remove: [claimOf({ run: 1 })] });
    assert.deepEqual(
      (await scene.other.ledger.claimsOf(incarnation)).map(({ run }) => run),
      [2],
    );
  }),
  inStore(
    "a claim that comes late brings nothing back: the unknown, the dead and the retired are refused",
    async (scene) => {
      const dead = await scene.join();
      const retired = await scene.join();
      const kept = claimOf({ id: "kept" });
      await scene.store.ledger.claim(dead.incarnation, { add: [kept], remove: [] });
      await scene.die(dead);
      await scene.store.roster.retire(retired.incarnation);
      for (const { incarnation } of [dead, retired, registrationOf()]) {
        assert.equal(await scene.store.ledger.claim(incarnation, { add: [claimOf()], remove: [kept] }), false);
      }
      assert.deepEqual(await scene.other.ledger.claimsOf(dead.incarnation), [{ ...kept, holder: dead.incarnation }]);
      assert.equal((await scene.other.ledger.counts()).claims, 1);
    },
  ),
];

const history: readonly SuiteTest<Scene>[] = [
  inStore("history is told newest first, each kind by itself", async (scene) => {
    for (const kind of KINDS) {
      for (const job of ["1", "2", "3"]) await scene.store.ledger.record(kind, eventOf({ job, detail: kind }));
    }
    for (const kind of KINDS) {
      const events = await scene.history(kind);
      assert.deepEqual(
        events.map(({ job, detail }) => [job, detail]),
        [
          ["3", kind],
          ["2", kind],
          ["1", kind],
        ],
      );
      assert.ok(events.every(({ at, id }) => at > 0 && id.length > 0));
    }
  }),
  inStore("the id of an event is the cursor to what was before it", async (scene) => {
    for (const job of ["1", "2", "3"]) await scene.store.ledger.record("actions", eventOf({ job }));
    const [newest] = await scene.history("actions");
    const { items } = await scene.other.ledger.history("actions", { cursor: newest!.id, limit: 1 });
    assert.deepEqual(
      items.map(({ job }) => job),
      ["2"],
    );
  }),
  ...KINDS.map((kind) =>
    inStore(`the history of ${kind} is bounded, keeps the newest, and pushes out no other kind`, async (scene) => {
      const kept = KEPT[kind];
      const others = KINDS.filter((other) => other !== kind);
      for (const other of others) await scene.store.ledger.record(other, eventOf());
      for (let i = 0; i < kept + 500; i += 100) {
        const batch = Array.from({ length: 100 }, (_, j) => eventOf({ job: `${i + j}` }));
        await Promise.all(batch.map((event) => scene.store.ledger.record(kind, event)));
      }
      const events = await readAll((page) => scene.other.ledger.history(kind, page), 1_000);
      assert.ok(events.length >= kept && events.length < kept + 400, `${events.length} events`);
      assert.ok(Number(events[0]?.job) >= kept + 400, "the newest is kept");
      for (const other of others) assert.equal((await scene.history(other)).length, 1);
    }),
  ),
];

const quarantine: readonly SuiteTest<Scene>[] = [
  inStore("the first record of a buried run stays until a person takes it out", async (scene) => {
    await Promise.all([scene.store, scene.other].map(({ ledger }) => ledger.quarantine(buried())));
    await scene.other.ledger.quarantine(buried({ reason: "another" }));
    await scene.other.ledger.quarantine(buried({ reason: "an earlier run", run: buried().run - 1 }));
    const found = await scene.other.ledger.findQuarantined(QUEUE, "1");
    assert.ok(found && found.at > 0);
    assert.deepEqual({ ...found, at: 0 }, { ...buried(), at: 0 });
    const taken = await Promise.all([scene.store, scene.other].map(({ ledger }) => ledger.unquarantine(QUEUE, "1")));
    assert.deepEqual(taken.filter(Boolean), [true]);
    assert.equal(await scene.store.ledger.findQuarantined(QUEUE, "1"), undefined);
    await scene.store.ledger.quarantine(buried({ reason: "again" }));
    assert.equal((await scene.other.ledger.findQuarantined(QUEUE, "1"))?.reason, "again");
  }),
  inStore("who was late to bury a run takes no record of a later run away", async (scene) => {
    const { run } = buried();
    await scene.store.ledger.quarantine(buried());
    await scene.other.ledger.quarantine(buried({ run: run + 1, reason: "a later run" }));
    assert.equal(await scene.store.ledger.unquarantine(QUEUE, "1", run), false);
    assert.equal((await scene.store.ledger.findQuarantined(QUEUE, "1"))?.reason, "a later run");
    assert.equal(await scene.other.ledger.unquarantine(QUEUE, "1", run + 1), true);
    assert.equal(await scene.store.ledger.unquarantine(QUEUE, "1", run + 1), false);
  }),
  inStore("quarantined jobs can be read for one queue, in full pages", async (scene) => {
    for (const id of PAGED) {
      await scene.store.ledger.quarantine(buried({ id }));
      await scene.store.ledger.quarantine(buried({ id, queue: "memory:other" }));
    }
    const { items } = await scene.other.ledger.quarantined({ limit: 10, queue: QUEUE });
    assert.deepEqual([items.length, items.every(({ queue }) => queue === QUEUE)], [10, true]);
    const all = await readAll((page) => scene.other.ledger.quarantined({ ...page, queue: QUEUE }), 10);
    assert.deepEqual(all.map(({ id }) => id).toSorted(), PAGED);
  }),
  inStore("the counts say how much there is of everything", async (scene) => {
    const dead = await scene.join();
    const living = await scene.join();
    await scene.store.ledger.claim(living.incarnation, { add: [claimOf(), claimOf({ id: "2" })], remove: [] });
    await scene.store.ledger.quarantine(buried());
    await scene.store.casebook.open([{ orphan: orphanOf(dead.incarnation), charged: true }], LONG);
    await scene.die(dead);
    const counts = { instances: 2, dead: 1, claims: 2, quarantined: 1, pending: 1 }; // the watcher is an instance too
    assert.deepEqual(await scene.other.ledger.counts(), counts);
  }),
];

export const ledgerTests: readonly SuiteTest<Scene>[] = [...claims, ...history, ...quarantine, ...pages];
