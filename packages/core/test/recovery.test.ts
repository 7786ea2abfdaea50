import { describe, expect, test, vi } from "vitest";
import type { QueueAdapter } from "../src/adapter.ts";
import { PARKED_FOR } from "../src/crash-budget.ts";
import type { Plugin, PluginOrphan } from "../src/plugin.ts";
import type { Casebook, Outcome } from "../src/store.ts";
import { memoryAdapter, memoryQueue } from "../src/testing/index.ts";
import type { MemoryAdapter, MemoryQueue } from "../src/testing/index.ts";
import { changed, defer, forever, openFleet, until } from "./support/fleet.ts";
import type { Fleet, Handler, Process } from "./support/fleet.ts";

const WATCH = "watch";

/** A process that runs every job for ever, and so has it in flight when it dies. */
const victim = (fleet: Fleet, options: object = {}): Promise<Process> =>
  fleet.start({ handler: forever, concurrency: 50, ...options });

const isHeldBy = (queue: MemoryQueue, { adapter }: Process, ...ids: string[]): boolean =>
  ids.every((id) => {
    const job = queue.get(id);
    return job?.state === "held" && adapter.holders(queue.key).includes(job.holder!);
  });

/** One more process takes the jobs and dies of them; resolves when the watcher has dealt with each. */
async function dieOf(fleet: Fleet, watcher: Process, ...ids: string[]): Promise<void> {
  const { queue } = fleet;
  const process = await victim(fleet);
  for (const id of ids) queue.promote(id);
  await until(() => isHeldBy(queue, process, ...ids));
  process.crash();
  await until(() => ids.every((id) => queue.get(id)?.state !== "held"));
  await until(async () => (await watcher.assurance.snapshot.overview()).pending === 0);
}

const dueIn = (queue: MemoryQueue, id: string): number => queue.get(id)!.dueAt - Date.now();

describe("a job whose process dies", () => {
  test("runs again in another process, once for the death, with who, what and the evidence in the history", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const dead = await victim(fleet);
    queue.add("x", { id: "1", name: "pay" });
    await until(() => isHeldBy(queue, dead, "1"));
    const runs: number[] = [];
    const one = await fleet.start({ handler: async ({ run }) => void runs.push(run) });
    const two = await fleet.start({ handler: async ({ run }) => void runs.push(run) });
    dead.crash();
    await until(() => queue.get("1")?.state === "finished");
    await until(() => [one, two].some(({ told }) => told.includes("orphan.recovered")));
    expect(runs).toEqual([2]);
    const { items } = await one.assurance.snapshot.history("recoveries");
    const holder = dead.assurance.instance.incarnation;
    expect(items).toMatchObject([
      { type: "orphan.recovered", queue: queue.key, job: "1", run: 1, evidence: `held by ${holder}` },
    ]);
    expect([one, two].map(({ assurance }) => assurance.instance.incarnation)).toContain(items[0]!.who);
    const [death] = [one, two].flatMap(({ heard }) => heard("instance.dead"));
    expect(death?.death).toMatchObject({ cause: "absent", leaving: false, registration: { incarnation: holder } });
    expect(await fleet.store.casebook.deaths(queue.key, "1", 60_000)).toBe(1);
  });

  test("is given back once, though every process recovers it at the same moment", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const dead = await victim(fleet);
    const ids = Array.from({ length: 20 }, (_, i) => queue.add("x", { id: `${i}` }));
    await until(() => isHeldBy(queue, dead, ...ids));
    const others = await Promise.all([1, 2, 3].map(() => fleet.start({ autoRecovery: false })));
    dead.crash();
    await until(async () => (await fleet.store.roster.dead()).length === 1);
    await Promise.all(others.map(({ assurance }) => assurance.recover()));
    expect(ids.every((id) => queue.get(id)?.state === "waiting")).toBe(true);
    const events = others.flatMap(({ heard }) => heard("orphan.recovered"));
    expect(events.map(({ orphan }) => orphan.id).toSorted()).toEqual(ids.toSorted());
    expect((await others[0]!.assurance.snapshot.history("recoveries", { limit: 100 })).items).toHaveLength(20);
  });

  test("keeps its place: the oldest of the recovered runs next", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const dead = await victim(fleet);
    for (const id of ["a", "b", "c"]) queue.add("x", { id });
    await until(() => isHeldBy(queue, dead, "a", "b", "c"));
    const watcher = await fleet.start();
    dead.crash();
    await until(() => watcher.heard("orphan.recovered").length === 3);
    expect(["a", "b", "c"].map(() => queue.fetch("me")?.id)).toEqual(["a", "b", "c"]);
  });

  test("waits with autoRecovery false until somebody calls recover(), which says what it did", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const dead = await victim(fleet, { autoRecovery: false });
    queue.add("x", { id: "1" });
    await until(() => isHeldBy(queue, dead, "1"));
    const watcher = await fleet.start({ autoRecovery: false });
    dead.crash();
    await until(() => watcher.told.includes("instance.dead"));
    await fleet.store.roster.dead();
    await new Promise((resolve) => setTimeout(resolve, 100)); // five recovery intervals
    expect(queue.get("1")?.state).toBe("held");
    expect(watcher.heard("duty.taken")).toEqual([{ duty: WATCH }]);
    expect(await watcher.assurance.recover()).toEqual({
      queues: [{ queue: queue.key, requeued: 1, buried: 0, ended: 0, failed: 0, waiting: 0 }],
      requeued: 1,
      buried: 0,
      failed: 0,
      waiting: 0,
    });
    expect(queue.get("1")?.state).toBe("waiting");
    expect(await watcher.assurance.recover()).toMatchObject({ requeued: 0 });
  });
});

describe("a job that keeps killing", () => {
  test("comes back later after its second death, and alone: the others wait until it has ended", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const watcher = await fleet.start();
    const ids = ["a", "b", "c"].map((id) => queue.add("x", { id }));
    await dieOf(fleet, watcher, ...ids);
    expect(ids.every((id) => dueIn(queue, id) <= 0)).toBe(true);
    await dieOf(fleet, watcher, ...ids);
    const [out, ...parked] = ids.toSorted((a, b) => dueIn(queue, a) - dueIn(queue, b));
    expect(dueIn(queue, out!)).toBeLessThanOrEqual(1_000);
    for (const id of parked) expect(dueIn(queue, id)).toBeGreaterThan(PARKED_FOR - 10_000);
    expect(watcher.heard("orphan.recovered").slice(3)).toMatchObject(
      [1_000, PARKED_FOR, PARKED_FOR].map((delay) => ({ delay, deaths: 2 })),
    );

    const ran: string[] = [];
    const turn = new Map(ids.map((id) => [id, defer()]));
    await fleet.start({ concurrency: 3, handler: ({ id }) => (ran.push(id), turn.get(id)!.promise) });
    queue.promote(out!);
    await until(() => ran.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(ran).toEqual([out]);
    turn.get(out!)!.resolve();
    await until(() => ran.length === 2);
    turn.get(ran[1]!)!.resolve();
    await until(() => ran.length === 3);
    turn.get(ran[2]!)!.resolve();
    await until(async () => (await fleet.store.casebook.suspects(queue.key)).length === 0);
    expect(ran.toSorted()).toEqual(ids);
  });

  test("is buried at its fourth death, shown in quarantine, and released by a person with a fresh budget", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const watcher = await fleet.start();
    const { snapshot } = watcher.assurance;
    queue.add({ secret: 1 }, { id: "pill", name: "pay" });
    for (let death = 1; death <= 4; death++) await dieOf(fleet, watcher, "pill");
    expect(queue.get("pill")).toMatchObject({
      state: "buried",
      reason: "its process died 4 times while it ran; 3 are allowed",
    });
    expect(watcher.heard("orphan.recovered").map(({ deaths, delay }) => [deaths, delay])).toEqual([
      [1, 0],
      [2, 1_000],
      [3, 2_000],
    ]);
    expect(watcher.heard("orphan.buried")).toMatchObject([{ orphan: { id: "pill", run: 4 }, deaths: 4 }]);
    expect((await snapshot.quarantine()).items).toMatchObject([{ id: "pill", name: "pay", run: 4, deaths: 4 }]);
    expect((await snapshot.overview()).quarantined).toBe(1);

    await watcher.assurance.release({ queue: queue.key, id: "pill", actor: "ann", reason: "mended" });
    expect(queue.get("pill")?.state).toBe("waiting");
    expect((await snapshot.quarantine()).items).toEqual([]);
    await dieOf(fleet, watcher, "pill");
    expect(watcher.heard("orphan.recovered").at(-1)).toMatchObject({ deaths: 1, delay: 0 });
  });

  test("is found in quarantine and buried once, when its recoverer dies between the record and the queue", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const watcher = await fleet.start({ maxRecoveries: 1 });
    queue.add("x", { id: "pill" });
    await dieOf(fleet, watcher, "pill");
    watcher.crash();
    const halfway = await fleet.start({
      maxRecoveries: 1,
      adapters: [changed<QueueAdapter>(memoryAdapter({ queue }), { bury: () => new Promise(() => {}) })],
    });
    const process = await victim(fleet, { autoRecovery: false });
    queue.promote("pill");
    await until(() => isHeldBy(queue, process, "pill"));
    process.crash();
    await until(async () => (await fleet.store.ledger.findQuarantined(queue.key, "pill")) !== undefined);
    expect(queue.get("pill")?.state).toBe("held");
    halfway.crash();
    const next = await fleet.start({ maxRecoveries: 1 });
    await until(() => queue.get("pill")?.state === "buried");
    await until(() => next.told.includes("orphan.buried"));
    expect((await next.assurance.snapshot.quarantine()).items).toHaveLength(1);
  });

  test("is not buried for what another suspect may have done: one whose turn failed once is no culprit", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    let refused = 0;
    const plugin: Plugin = {
      name: "refuses one of the second deaths, once",
      beforeRequeue: async ({ id, deaths }) => {
        if (id === "b" && deaths === 2 && refused++ === 0) throw new Error("not now");
      },
    };
    const watcher = await fleet.start({ maxRecoveries: 1, plugins: [plugin] });
    for (const id of ["a", "b"]) queue.add("x", { id });
    await dieOf(fleet, watcher, "a", "b");
    await dieOf(fleet, watcher, "a", "b");
    expect(refused).toBe(2);
    expect(["a", "b"].map((id) => queue.get(id)?.state)).toEqual(["waiting", "waiting"]);
  });

  test("is not buried for a pill in another queue of its process", async () => {
    const fleet = openFleet();
    const [guilty, innocent] = [memoryQueue("guilty"), memoryQueue("innocent")];
    const serve = (handler?: Handler): MemoryAdapter[] =>
      [guilty, innocent].map((queue) => memoryAdapter(handler ? { queue, process: handler } : { queue }));
    await fleet.start({ adapters: serve() });
    for (const queue of [guilty, innocent]) queue.add("x", { id: "1" });
    for (let death = 1; death <= 4; death++) {
      const process = await fleet.start({ autoRecovery: false, adapters: serve(forever) });
      for (const queue of [guilty, innocent]) queue.promote("1");
      await until(() => [guilty, innocent].every((queue) => queue.get("1")?.state === "held"));
      process.crash();
      await until(() => [guilty, innocent].every((queue) => queue.get("1")?.state !== "held"));
    }
    expect(innocent.get("1")?.state).toBe("waiting");
  });

  test("is not charged for the death of a process that was leaving", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const watcher = await fleet.start();
    const process = await victim(fleet, { stopTimeout: 10_000 });
    queue.add("x", { id: "1" });
    await until(() => isHeldBy(queue, process, "1"));
    void process.assurance.stop();
    await until(async () => (await watcher.assurance.snapshot.instances({ state: "leaving" })).items.length === 1);
    process.crash();
    await until(() => watcher.told.includes("orphan.recovered"));
    expect(watcher.heard("instance.dead")).toMatchObject([{ death: { leaving: true } }]);
    expect(watcher.heard("orphan.recovered")).toMatchObject([{ deaths: 0, delay: 0 }]);
    expect(await fleet.store.casebook.deaths(queue.key, "1", 60_000)).toBe(0);
  });
});

describe("plugins", () => {
  /** What a plugin saw, and the state of the job when it did. */
  function witness(queue: MemoryQueue): { plugin: Plugin; seen: string[] } {
    const seen: string[] = [];
    const note = (hook: string, { id, run, deaths }: PluginOrphan, rest = ""): void =>
      void seen.push(`${hook} ${id} run ${run} death ${deaths}: ${queue.get(id)?.state ?? "gone"}${rest}`);
    const plugin: Plugin = {
      name: "witness",
      beforeRequeue: async (orphan) => note("beforeRequeue", orphan),
      beforeSettle: async (orphan, outcome: Outcome) => note("beforeSettle", orphan, ` (${outcome})`),
    };
    return { plugin, seen };
  }

  test("are asked before the job goes back, and again before its case is closed", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const { plugin, seen } = witness(queue);
    const watcher = await fleet.start({ plugins: [plugin] });
    queue.add("x", { id: "1" });
    await dieOf(fleet, watcher, "1");
    expect(seen).toEqual(["beforeRequeue 1 run 1 death 1: held", "beforeSettle 1 run 1 death 1: waiting (requeued)"]);
  });

  test.each(["finished", "vanished"] as const)("hear of an orphan that had %s after all", async (outcome) => {
    const fleet = openFleet();
    const { queue } = fleet;
    const seen: string[] = [];
    const plugin: Plugin = {
      name: "late end",
      beforeRequeue: async ({ id, proof }) => {
        queue.end({ id, proof }); // what the dead had sent arrives only now
        if (outcome === "vanished") queue.discard(id, ["finished"]);
      },
      beforeSettle: async (_orphan, settled) => void seen.push(settled),
    };
    const watcher = await fleet.start({ plugins: [plugin] });
    const process = await victim(fleet);
    queue.add("x", { id: "1" });
    await until(() => isHeldBy(queue, process, "1"));
    process.crash();
    await until(() => watcher.told.includes(`orphan.${outcome}`));
    expect(seen).toEqual([outcome]);
    expect(watcher.told).not.toContain("orphan.recovered");
    expect((await watcher.assurance.snapshot.overview()).pending).toBe(0);
    expect((await watcher.assurance.snapshot.history("recoveries")).items).toMatchObject([
      { type: `orphan.${outcome}` },
    ]);
  });

  test.each(["beforeRequeue", "beforeSettle"] as const)(
    "that throw in %s leave the orphan for the next pass, and delay no other",
    async (hook) => {
      const fleet = openFleet();
      const { queue } = fleet;
      let refusals = 0;
      const plugin: Plugin = {
        name: "moody",
        [hook]: async ({ id }: PluginOrphan) => {
          if (id === "1" && ++refusals <= 2) throw new Error("not now");
        },
      };
      const watcher = await fleet.start({ plugins: [plugin] });
      for (const id of ["1", "2"]) queue.add("x", { id });
      await dieOf(fleet, watcher, "1", "2");
      await until(() => watcher.heard("orphan.recovered").length === 2);
      expect(watcher.heard("orphan.recovered").map(({ orphan }) => orphan.id)).toEqual(["2", "1"]);
      expect(watcher.heard("orphan.failed")).toMatchObject(
        [1, 2].map(() => ({ orphan: { id: "1" }, error: { message: "not now" } })),
      );
      expect(await fleet.store.casebook.deaths(queue.key, "1", 60_000)).toBe(1);
      expect((await watcher.assurance.snapshot.history("recoveries")).items).toHaveLength(2);
    },
  );

  test.each(["beforeRequeue", "beforeSettle"] as const)(
    "are asked again, for the same run, when the recoverer dies in %s: the job goes back once and is charged once",
    async (hook) => {
      const fleet = openFleet();
      const { queue } = fleet;
      const reached = defer();
      const stuck: Plugin = { name: "stuck", [hook]: () => (reached.resolve(), new Promise<void>(() => {})) };
      const first = await fleet.start({ plugins: [stuck] });
      const process = await victim(fleet, { autoRecovery: false });
      queue.add("x", { id: "1" });
      await until(() => isHeldBy(queue, process, "1"));
      process.crash();
      await reached.promise;
      first.crash();
      const { plugin, seen } = witness(queue);
      const second = await fleet.start({ plugins: [plugin] });
      await until(() => second.told.includes("orphan.recovered"));
      const before = hook === "beforeRequeue" ? "held" : "waiting";
      expect(seen).toEqual([
        `beforeRequeue 1 run 1 death 1: ${before}`,
        "beforeSettle 1 run 1 death 1: waiting (requeued)",
      ]);
      expect(queue.get("1")).toMatchObject({ state: "waiting", run: 1 });
      expect((await second.assurance.snapshot.history("recoveries")).items).toHaveLength(1);
    },
  );
});

describe("the duty", () => {
  test("is each queue's own: who does not serve a queue never takes it, and its orphans are kept and shown", async () => {
    const fleet = openFleet();
    const [mine, other] = [memoryQueue("mine"), memoryQueue("other")];
    const process = await fleet.start({ queue: other, handler: forever });
    other.add("x", { id: "1" });
    await until(() => other.get("1")?.state === "held");
    const stranger = await fleet.start({ queue: mine, delayedRecoveryInterval: 30, delayedRecoveryCount: 1_000 });
    process.crash();
    await until(() => stranger.told.includes("orphan.unknown-queue"));
    expect(stranger.heard("orphan.unknown-queue")[0]).toEqual({
      queue: other.key,
      incarnation: process.assurance.instance.incarnation,
    });
    expect(
      stranger
        .heard("duty.taken")
        .map(({ duty }) => duty)
        .toSorted(),
    ).toEqual([mine.key, WATCH]);
    expect(other.get("1")?.state).toBe("held");
    expect((await stranger.assurance.snapshot.instances({ state: "dead" })).items).toMatchObject([
      { queues: [other.key], state: "dead" },
    ]);
    const expert = await fleet.start({ queue: other });
    await until(() => other.get("1")?.state === "waiting");
    await until(() => expert.heard("orphan.recovered").length === 1);
  });

  test("goes on at once with another process when its holder dies", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const first = await fleet.start({ recoveryInterval: 600_000 }); // it would not lapse before long
    await until(() => first.heard("duty.taken").length === 2);
    const second = await fleet.start({ recoveryInterval: 600_000 });
    const third = await fleet.start({ handler: forever });
    queue.add("x", { id: "1" });
    await until(() => isHeldBy(queue, third, "1"));
    first.crash();
    third.crash();
    await until(() => queue.get("1")?.state === "waiting");
    expect(
      second
        .heard("duty.taken")
        .map(({ duty }) => duty)
        .toSorted(),
    ).toEqual([queue.key, WATCH]);
  });

  test.each(["heldBy", "upkeep"] as const)(
    "is given up by a process whose pass hangs in %s for longer than recoveryLockTtl",
    async (verb) => {
      const fleet = openFleet();
      const { queue } = fleet;
      const hangs = changed<QueueAdapter>(memoryAdapter({ queue }), { [verb]: () => new Promise(() => {}) });
      const stuck = await fleet.start({ adapters: [hangs], recoveryLockTtl: 1_000 });
      const process = await victim(fleet, { autoRecovery: false });
      queue.add("x", { id: "1" });
      await until(() => isHeldBy(queue, process, "1"));
      await until(() => stuck.heard("duty.taken").length === 2);
      const next = await fleet.start();
      process.crash();
      await until(() => queue.get("1")?.state === "waiting");
      expect(next.told).toContain("orphan.recovered");
      expect(stuck.heard("duty.lost")).toEqual([{ duty: queue.key }]); // and it still watches
    },
  );

  test("of a queue that answers is done, though another queue of the process hangs in any verb", async () => {
    for (const verb of ["heldBy", "upkeep", "audit", "state"] as const) {
      const fleet = openFleet();
      const [bad, good] = [memoryQueue("bad"), memoryQueue("good")];
      const hangs = changed<QueueAdapter>(memoryAdapter({ queue: bad }), { [verb]: () => new Promise(() => {}) });
      const audited = vi.fn<QueueAdapter["audit"]>(async () => []);
      const sound = changed<QueueAdapter>(memoryAdapter({ queue: good }), { audit: audited });
      const watcher = await fleet.start({
        adapters: [hangs, sound],
        delayedRecoveryInterval: 30,
        delayedRecoveryCount: 1_000,
      });
      const process = await fleet.start({
        autoRecovery: false,
        adapters: [bad, good].map((queue) => memoryAdapter({ queue, process: forever })),
      });
      for (const queue of [bad, good]) queue.add("x", { id: "1" });
      await until(() => [bad, good].every((queue) => queue.get("1")?.state === "held"));
      process.adapter.crash();
      process.crash();
      await until(() => good.get("1")?.state === "waiting");
      await until(() => audited.mock.calls.length > 1);
      expect(watcher.heard("orphan.recovered").map(({ orphan }) => orphan.queue)).toContain(good.key);
    }
  });

  test("follows queues that come and go while the process runs, though one that went hangs", async () => {
    const fleet = openFleet();
    const [first, second] = [memoryQueue("first"), memoryQueue("second")];
    const pair = [first, second].map((queue) => memoryAdapter({ queue }));
    const of = (key: string): QueueAdapter => pair.find(({ queues }) => queues.includes(key))!;
    let queues = [first.key];
    const hung = defer();
    const many = changed<QueueAdapter>(pair[0]!, {
      heldBy: (key, dead) => (key === first.key ? (hung.resolve(), new Promise(() => {})) : of(key).heldBy(key, dead)),
      requeue: (orphan, options) => of(orphan.queue).requeue(orphan, options),
      holders: (key) => of(key).holders(key),
    });
    const growing = new Proxy(many, {
      get: (target, name) => (name === "queues" ? queues : (Reflect.get(target, name) as unknown)),
    });
    await fleet.start({ adapters: [growing] });
    const process = await fleet.start({
      autoRecovery: false,
      adapters: [first, second].map((queue) => memoryAdapter({ queue, process: forever })),
    });
    for (const queue of [first, second]) queue.add("x", { id: "1" });
    await until(() => [first, second].every((queue) => queue.get("1")?.state === "held"));
    process.crash();
    await hung.promise;
    queues = [second.key];
    await until(() => second.get("1")?.state === "waiting");
  });

  test("ends with stop(): the next process need not wait for it to lapse", async () => {
    const fleet = openFleet();
    const first = await fleet.start({ recoveryInterval: 600_000 });
    await until(() => first.heard("duty.taken").length === 2);
    await first.assurance.stop();
    const second = await fleet.start({ recoveryInterval: 600_000 });
    await until(() => second.heard("duty.taken").length === 2);
  });
});

describe("a pass", () => {
  test("is the only one of its queue in a process, however many ask for one", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    let running = 0;
    let most = 0;
    const heldBy: QueueAdapter["heldBy"] = async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 10));
      running--;
      return [];
    };
    const watcher = await fleet.start({
      autoRecovery: false,
      adapters: [changed<QueueAdapter>(memoryAdapter({ queue }), { heldBy })],
    });
    const process = await victim(fleet, { autoRecovery: false });
    process.crash();
    await until(async () => (await fleet.store.roster.dead()).length === 1);
    await Promise.all(Array.from({ length: 6 }, () => watcher.assurance.recover()));
    expect(most).toBe(1);
  });

  test("that fails is told, and the next one makes up for it", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    let failures = 0;
    const failing = (casebook: Casebook): Casebook =>
      changed(casebook, {
        settle: async (settlements) => {
          if (settlements.length > 0 && ++failures === 1) throw new Error("reply lost");
          return casebook.settle(settlements);
        },
      });
    const watcher = await fleet.start({ store: (store) => ({ ...store, casebook: failing(store.casebook) }) });
    queue.add("x", { id: "1" });
    await dieOf(fleet, watcher, "1");
    await until(() => watcher.told.includes("orphan.recovered"));
    expect(watcher.heard("error")).toMatchObject([
      { during: `recovery of ${queue.key}`, error: { message: "reply lost" } },
    ]);
    expect((await watcher.assurance.snapshot.history("recoveries")).items).toHaveLength(1);
  });
});

describe("a dead incarnation", () => {
  const DAY = 24 * 3_600_000;
  const age = (fleet: Fleet): void => {
    const { dead } = fleet.server.records("assured_jobs");
    for (const death of dead.items())
      dead.put(death.registration.incarnation, { ...death, observed: death.observed - 2 * DAY });
  };

  test("is forgotten after a day, but only by who knows all its queues", async () => {
    const fleet = openFleet();
    const [mine, other] = [memoryQueue("mine"), memoryQueue("other")];
    const both = await fleet.start({ adapters: [mine, other].map((queue) => memoryAdapter({ queue })) });
    const deep = { delayedRecoveryInterval: 30, delayedRecoveryCount: 1_000 };
    const half = await fleet.start({ queue: mine, ...deep });
    await until(() => both.heard("duty.taken").length === 3);
    both.crash();
    await until(() => half.told.includes("instance.dead"));
    age(fleet);
    await until(() => half.heard("orphan.unknown-queue").length >= 2);
    expect((await half.assurance.snapshot.overview()).dead).toBe(1);
    await half.assurance.stop();
    const whole = await fleet.start({ adapters: [mine, other].map((queue) => memoryAdapter({ queue })), ...deep });
    await until(async () => (await whole.assurance.snapshot.overview()).dead === 0);
  });

  test("of today stays listed: what it had sent may still arrive, and is found by the next pass", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const watcher = await fleet.start({ delayedRecoveryInterval: 30, delayedRecoveryCount: 1_000 });
    const process = await victim(fleet);
    await until(async () => (await watcher.assurance.snapshot.overview()).instances === 2);
    process.crash();
    await until(() => watcher.told.includes("instance.dead"));
    await watcher.assurance.recover();
    queue.add("x", { id: "late" });
    queue.fetch(process.adapter.holders(queue.key)[0]!);
    await until(() => watcher.told.includes("orphan.recovered"));
    expect((await watcher.assurance.snapshot.overview()).dead).toBe(1);
  });
});
