import { describe, expect, test, vi } from "vitest";
import { Snapshot } from "../src/snapshot.ts";
import type { HistoryEvent, Ledger, Page, PageRequest, Roster, Store } from "../src/store.ts";
import { memoryServer, memoryStore } from "../src/testing/index.ts";
import { registrationOf } from "../src/testing/store-suite/scene.ts";
import { changed, forever, openFleet, parts, until } from "./support/fleet.ts";

const QUEUE = "memory:jobs";

function open(): { store: Store; snapshot: Snapshot; server: ReturnType<typeof memoryServer> } {
  const server = memoryServer();
  const store = memoryStore({ server });
  return { server, store, snapshot: new Snapshot(store, () => [QUEUE, "memory:other"]) };
}

/** Everything, page by page. */
async function readAll<T>(
  read: (page: PageRequest) => Promise<Page<T>>,
  limit: number,
): Promise<{ items: T[]; pages: number }> {
  const items: T[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page: Page<T> = await read({ limit, cursor });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    items.push(...page.items);
    cursor = page.cursor;
    pages++;
  } while (cursor !== undefined);
  return { items, pages };
}

async function fill(store: Store, names: readonly string[]): Promise<string[]> {
  const registrations = names.map((name, i) =>
    registrationOf({ name, incarnation: `i${i}`, holders: { [i % 2 === 0 ? QUEUE : "memory:other"]: [`h${i}`] } }),
  );
  for (const registration of registrations) await store.roster.register(registration);
  return registrations.map(({ incarnation }) => incarnation);
}

describe("instances", () => {
  test.each([1, 2, 3, 7, 100])("are read page by page without a gap or a double, %d at a time", async (limit) => {
    const { store, snapshot } = open();
    const all = await fill(store, ["a", "b", "c", "a", "b", "c", "a"]);
    expect(
      (await readAll((page) => snapshot.instances(page), limit)).items.map(({ incarnation }) => incarnation),
    ).toEqual(all);
  });

  test.each([1, 2, 100])("are filtered by name, %d at a time", async (limit) => {
    const { store, snapshot } = open();
    await fill(store, ["a", "b", "a", "a", "c", "a"]);
    const { items } = await readAll((page) => snapshot.instances({ ...page, name: "a" }), limit);
    expect(items.map(({ incarnation }) => incarnation)).toEqual(["i0", "i2", "i3", "i5"]);
  });

  test("say who they are, what they serve, and why they are in their state", async () => {
    const { store, snapshot } = open();
    await fill(store, ["a", "b"]);
    await store.roster.leave("i1");
    const { items } = await snapshot.instances();
    expect(items).toMatchObject([
      { incarnation: "i0", name: "a", state: "alive", queues: [QUEUE], pid: expect.any(Number) as number },
      { incarnation: "i1", name: "b", state: "leaving", queues: ["memory:other"] },
    ]);
    expect(items.map(({ evidence }) => evidence)).toEqual([
      expect.stringMatching(/^last beat \d+ ms ago$/),
      expect.stringMatching(/^began to retire/),
    ]);
    expect((await snapshot.instances({ state: "leaving" })).items.map(({ incarnation }) => incarnation)).toEqual([
      "i1",
    ]);
    expect((await snapshot.instances({ state: "blocked" })).items).toEqual([]);
  });

  test.each([1, 2, 100])("that are dead come newest first, with cause and time, %d at a time", async (limit) => {
    const { store, snapshot } = open();
    const all = await fill(store, ["a", "b", "a", "b", "a"]);
    for (const incarnation of all) await store.roster.declare({ incarnation, cause: "left" });
    const { items } = await readAll((page) => snapshot.instances({ ...page, state: "dead" }), limit);
    expect(items.map(({ incarnation }) => incarnation)).toEqual(all.toReversed());
    expect(items[0]).toMatchObject({ state: "dead", diedAt: expect.any(Number) as number, queues: [QUEUE] });
    expect(items[0]?.evidence).toMatch(/^left: declared by itself/);
    const named = await readAll((page) => snapshot.instances({ ...page, state: "dead", name: "a" }), limit);
    expect(named.items.map(({ incarnation }) => incarnation)).toEqual(["i4", "i2", "i0"]);
    expect((await snapshot.instances()).items).toEqual([]);
  });
});

describe("claims, history and quarantine", () => {
  test("claims are filtered by queue and holder", async () => {
    const { store, snapshot } = open();
    const [one, two] = (await fill(store, ["a", "b"])) as [string, string];
    const claim = (queue: string, id: string) => ({ queue, id, run: 1, proof: "", since: 0 });
    await store.ledger.claim(one, { add: [claim(QUEUE, "1"), claim("memory:other", "2")], remove: [] });
    await store.ledger.claim(two, { add: [claim(QUEUE, "3")], remove: [] });
    const ids = async (filter: object): Promise<string[]> => (await snapshot.claims(filter)).items.map(({ id }) => id);
    expect(await ids({})).toEqual(["1", "2", "3"]);
    expect(await ids({ queue: QUEUE })).toEqual(["1", "3"]);
    expect(await ids({ holder: one })).toEqual(["1", "2"]);
    expect(await ids({ holder: two, queue: "memory:other" })).toEqual([]);
  });

  test.each([1, 3, 100])(
    "history is newest first, and filtered by queue, job and type, %d at a time",
    async (limit) => {
      const { store, snapshot } = open();
      for (let i = 0; i < 10; i++) {
        const event: HistoryEvent = {
          type: i % 2 === 0 ? "even" : "odd",
          who: "me",
          queue: QUEUE,
          job: `${i % 5}`,
          run: i,
        };
        await store.ledger.record("recoveries", event);
        await store.ledger.record("actions", { type: "other", who: "me" });
      }
      const runs = async (filter: object): Promise<unknown[]> =>
        (await readAll((page) => snapshot.history("recoveries", { ...page, ...filter }), limit)).items.map(
          ({ run }) => run,
        );
      expect(await runs({})).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
      expect(await runs({ type: "odd" })).toEqual([9, 7, 5, 3, 1]);
      expect(await runs({ job: "0" })).toEqual([5, 0]);
      expect(await runs({ job: "0", type: "even", queue: QUEUE })).toEqual([0]);
      expect(await runs({ queue: "memory:other" })).toEqual([]);
    },
  );

  test("quarantine is filtered by queue", async () => {
    const { store, snapshot } = open();
    for (const [queue, id] of [
      [QUEUE, "1"],
      ["memory:other", "2"],
      [QUEUE, "3"],
    ] as const)
      await store.ledger.quarantine({ queue, id, run: 4, deaths: 4, holder: "h", reason: "r" });
    const { items, pages } = await readAll((page) => snapshot.quarantine({ ...page, queue: QUEUE }), 1);
    expect([items.map(({ id }) => id).toSorted(), pages]).toEqual([["1", "3"], 2]);
    expect((await snapshot.quarantine()).items).toHaveLength(3);
  });

  test("open orphans are those of the queues of this process, or of one of any", async () => {
    const { store, snapshot } = open();
    const orphan = (queue: string) => ({ orphan: { queue, id: "1", run: 1, holder: "h", proof: "" }, charged: true });
    await store.casebook.open([orphan(QUEUE), orphan("memory:other"), orphan("memory:strange")], 60_000);
    const queues = async (request: object): Promise<string[]> =>
      (await snapshot.orphans(request)).map((one) => one.orphan.queue);
    expect(await queues({})).toEqual([QUEUE, "memory:other"]);
    expect(await queues({ queue: "memory:strange" })).toEqual(["memory:strange"]);
  });

  test("the overview counts what there is", async () => {
    const { store, snapshot } = open();
    const [one, , three] = await fill(store, ["a", "b", "c"]);
    await store.roster.declare({ incarnation: three!, cause: "left" });
    await store.ledger.claim(one!, { add: [{ queue: QUEUE, id: "1", run: 1, proof: "", since: 0 }], remove: [] });
    await store.ledger.quarantine({ queue: QUEUE, id: "2", run: 4, deaths: 4, holder: "h", reason: "r" });
    await store.casebook.open(
      [{ orphan: { queue: QUEUE, id: "3", run: 1, holder: "h", proof: "" }, charged: true }],
      60_000,
    );
    expect(await snapshot.overview()).toEqual({
      namespace: "assured_jobs",
      queues: [QUEUE, "memory:other"],
      instances: 2,
      dead: 1,
      claims: 1,
      quarantined: 1,
      pending: 1,
    });
  });
});

describe("a page", () => {
  test.each([
    [undefined, 50],
    [0, 1],
    [-5, 1],
    [2.9, 2],
    [100_000, 1_000],
    [Number.NaN, 50],
  ])("of limit %s asks the store for at most %d", async (limit, most) => {
    const { store } = open();
    const instances = vi.fn<Roster["instances"]>(async () => ({ items: [] }));
    const snapshot = new Snapshot({ ...parts(store), roster: changed(store.roster, { instances }) }, () => []);
    await snapshot.instances(limit === undefined ? {} : { limit });
    expect(instances).toHaveBeenCalledWith({ limit: most, cursor: undefined });
  });

  test("that a filter empties is short and has a cursor, instead of reading on without end", async () => {
    const { store } = open();
    let read = 0;
    const history = vi.fn<Ledger["history"]>(async (_kind, { limit }) => ({
      items: Array.from({ length: limit }, () => ({
        id: `${++read}`,
        at: 0,
        type: read === 1_500 ? "rare" : "common",
        who: "",
      })),
      cursor: `${read}`,
    }));
    const snapshot = new Snapshot({ ...parts(store), ledger: changed(store.ledger, { history }) }, () => []);
    const first = await snapshot.history("deaths", { type: "rare", limit: 10 });
    expect([first.items.length, first.cursor, history.mock.calls.length]).toEqual([0, "1000", 100]);
    const second = await snapshot.history("deaths", { type: "rare", limit: 10, cursor: first.cursor });
    expect(second.items).toHaveLength(1);
  });
});

test("no payload is shown anywhere", async () => {
  const fleet = openFleet();
  const { queue } = fleet;
  const secret = "4111-1111-1111-1111";
  const watcher = await fleet.start({ maxRecoveries: 1 });
  const { snapshot } = watcher.assurance;
  queue.add({ secret }, { id: "1", name: "pay" });
  for (let death = 1; death <= 2; death++) {
    const victim = await fleet.start({ handler: forever });
    queue.promote("1");
    await until(() => queue.get("1")?.state === "held");
    if (death === 2) await until(async () => (await snapshot.claims()).items.length === 1);
    victim.crash();
    await until(() => queue.get("1")?.state !== "held");
  }
  await until(async () => (await snapshot.quarantine()).items.length === 1);
  const shown = JSON.stringify([
    await snapshot.overview(),
    await snapshot.instances(),
    await snapshot.instances({ state: "dead" }),
    await snapshot.claims(),
    await snapshot.orphans(),
    await snapshot.quarantine(),
    await snapshot.history("deaths"),
    await snapshot.history("recoveries"),
    await watcher.assurance.audit(),
    watcher.heard("orphan.recovered"),
    watcher.heard("orphan.buried"),
  ]);
  expect(shown).toContain("pay");
  expect(shown).not.toContain(secret);
});
