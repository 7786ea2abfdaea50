import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Claims } from "../src/claims.ts";
import type { Run } from "../src/adapter.ts";
import { Runs } from "../src/runs.ts";
import type { HeldClaim, Ledger } from "../src/store.ts";
import { memoryStore } from "../src/testing/index.ts";
import { registrationOf } from "../src/testing/store-suite/scene.ts";
import { changed, defer, openFleet, until } from "./support/fleet.ts";

const runOf = (id: string, run = 1): Run => ({ queue: "memory:jobs", id, run, name: "pay", proof: `${run}:me` });

describe("claims", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  async function openClaims(): Promise<{
    readonly claims: Claims;
    readonly incarnation: string;
    /** Begins a run; returns how to end it. */
    readonly begin: (run: Run) => () => Promise<void>;
    readonly listed: () => Promise<readonly HeldClaim[]>;
    readonly writes: () => number;
    readonly fail: (times: number) => void;
    readonly sync: () => Promise<void>;
  }> {
    const store = memoryStore();
    const registration = registrationOf();
    await store.roster.register(registration);
    const { incarnation } = registration;
    let writes = 0;
    let failures = 0;
    const ledger = changed<Ledger>(store.ledger, {
      claim: (...args) => {
        writes++;
        return failures-- > 0 ? Promise.reject(new Error("no answer")) : store.ledger.claim(...args);
      },
    });
    const runs = new Runs({ known: true, countRecoveries: async () => 0 });
    const claims = new Claims(runs, ledger);
    return {
      claims,
      incarnation,
      begin: (run) => {
        const ends = defer();
        const running = runs.execute(run, () => ends.promise);
        return () => (ends.resolve(), running);
      },
      listed: () => store.ledger.claimsOf(incarnation),
      writes: () => writes,
      fail: (times) => (failures = times),
      sync: () => claims.sync(incarnation),
    };
  }

  const pass = (ms: number): void => void vi.advanceTimersByTime(ms);

  test("a run that is shorter than a second costs no write", async () => {
    const { begin, listed, sync, writes } = await openClaims();
    for (let i = 0; i < 10; i++) {
      const end = begin(runOf(`${i}`));
      pass(999);
      await sync();
      await end();
      await sync();
    }
    expect([writes(), await listed()]).toEqual([0, []]);
  });

  test("a clock that is set back hides no run", async () => {
    const { begin, listed, sync } = await openClaims();
    begin(runOf("1"));
    vi.setSystemTime(Date.now() - 3_600_000);
    pass(1_000);
    await sync();
    expect(await listed()).toHaveLength(1);
  });

  test("a longer one appears once, with all that a person needs and no payload, and vanishes after its end", async () => {
    const { begin, listed, sync, writes, incarnation } = await openClaims();
    const since = Date.now();
    const end = begin(runOf("1"));
    pass(1_000);
    for (let i = 0; i < 3; i++) await sync();
    expect(await listed()).toEqual([{ ...runOf("1"), since, holder: incarnation }]);
    await end();
    for (let i = 0; i < 3; i++) await sync();
    expect([writes(), await listed()]).toEqual([2, []]);
  });

  /* Run 1 again: an id that was used for a new job. */
  test.each([2, 1])(
    "a new run %d of the same job does not lose its claim when the former one's goes",
    async (second) => {
      const { begin, listed, sync } = await openClaims();
      const endFirst = begin(runOf("1", 1));
      pass(1_000);
      await sync();
      await endFirst();
      const endSecond = begin(runOf("1", second));
      const since = Date.now();
      pass(1_000);
      await sync();
      await sync();
      expect(await listed()).toMatchObject([{ run: second, since }]);
      await endSecond();
      await sync();
      expect(await listed()).toEqual([]);
    },
  );

  test.each([2, 1])("nothing stays behind when a short run %d of the same job follows a long one", async (run) => {
    const { begin, listed, sync } = await openClaims();
    const endFirst = begin(runOf("1", 1));
    pass(1_000);
    await sync();
    await endFirst();
    const endSecond = begin(runOf("1", run));
    await sync();
    pass(500);
    await endSecond();
    await sync();
    expect(await listed()).toEqual([]);
  });

  test("what could not be written is written by the next one", async () => {
    const { begin, listed, sync, fail } = await openClaims();
    const end = begin(runOf("1"));
    pass(1_000);
    fail(1);
    await expect(sync()).rejects.toThrow("no answer");
    await sync();
    expect(await listed()).toHaveLength(1);
    await end();
    fail(1);
    await expect(sync()).rejects.toThrow("no answer");
    await sync();
    expect(await listed()).toEqual([]);
  });

  test("a new incarnation claims what runs now, and nothing of the former one", async () => {
    const { begin, claims, listed, sync, incarnation } = await openClaims();
    begin(runOf("1"));
    pass(1_000);
    await claims.sync("unknown");
    expect(await listed()).toEqual([]); // refused, so it is tried again
    await sync();
    claims.forget();
    await sync();
    expect((await listed()).map(({ holder }) => holder)).toEqual([incarnation]);
  });
});

test("a job that runs long is seen by everybody while it runs", async () => {
  const fleet = openFleet();
  const { queue } = fleet;
  const ends = defer();
  const process = await fleet.start({ handler: () => ends.promise });
  const observer = await fleet.start({ role: "observer" });
  const shown = async (): Promise<readonly HeldClaim[]> => (await observer.assurance.snapshot.claims()).items;
  queue.add({ secret: 1 }, { id: "1", name: "pay" });
  await until(async () => (await shown()).length === 1);
  expect(await shown()).toMatchObject([
    { id: "1", name: "pay", run: 1, holder: process.assurance.instance.incarnation },
  ]);
  ends.resolve();
  await until(async () => (await shown()).length === 0);
});
