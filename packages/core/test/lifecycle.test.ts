import { describe, expect, test, vi } from "vitest";
import type { QueueAdapter } from "../src/adapter.ts";
import type { Assurance } from "../src/assurance.ts";
import { AssuranceError } from "../src/errors.ts";
import type { Store } from "../src/store.ts";
import { memoryAdapter } from "../src/testing/index.ts";
import { changed, defer, forever, openFleet, until, untilAborted } from "./support/fleet.ts";
import type { Fleet, Handler } from "./support/fleet.ts";

const codeOf = (act: Promise<unknown>): Promise<unknown> =>
  act.then(
    () => "none",
    (error: unknown) => (error instanceof AssuranceError ? error.code : error),
  );

const instances = async ({ store }: Fleet): Promise<string[]> =>
  (await store.roster.instances({ limit: 100 })).items.map(({ registration }) => registration.incarnation);

describe("start", () => {
  test("may be called again: the process begins once", async () => {
    const fleet = openFleet();
    const attach = vi.fn<QueueAdapter["attach"]>(async () => {});
    const adapter = changed<QueueAdapter>(memoryAdapter({ queue: fleet.queue }), { attach });
    const { assurance, heard } = fleet.create({ adapters: [adapter] });
    await Promise.all([assurance.start(), assurance.start()]);
    await assurance.start();
    expect(attach).toHaveBeenCalledTimes(1);
    expect(heard("instance.started")).toEqual([{ incarnation: assurance.instance.incarnation, name: "p1" }]);
    expect(await instances(fleet)).toEqual([assurance.instance.incarnation]);
  });

  test("is refused after stop(), also when nothing had begun", async () => {
    const fleet = openFleet();
    const { assurance } = fleet.create();
    expect(await assurance.stop()).toEqual({ finished: 0, handedOver: 0, left: 0 });
    expect(await codeOf(assurance.start())).toBe("ERR_STATE");
    expect(await instances(fleet)).toEqual([]);
  });

  test("beats before anything else: a loop that is blocked as soon as it registered is no death", async () => {
    const fleet = openFleet();
    const steps: string[] = [];
    const noted = (store: Store): Store =>
      changed<Store>(store, {
        pulse: (...given) => (steps.push("pulse"), store.pulse(...given)),
        roster: changed(store.roster, { register: (one) => (steps.push("register"), store.roster.register(one)) }),
      });
    await fleet.start({ store: noted });
    expect(steps[0]).toBe("pulse");
    expect(steps).toContain("register");
  });

  test("that is refused by the store has left nothing behind that beats", async () => {
    const fleet = openFleet();
    const refusing = (store: Store): Store =>
      changed<Store>(store, {
        roster: changed(store.roster, {
          register: () => Promise.reject(new AssuranceError("ERR_STORE_FORBIDDEN", "no")),
        }),
      });
    const process = fleet.create({ store: refusing });
    expect(await codeOf(process.assurance.start())).toBe("ERR_STORE_FORBIDDEN");
    expect(process.assurance.instance.phase).toBe("new");
    expect(process.pulse.present).toBe(false);
  });

  test("without the store goes on degraded: jobs run, and are assured as soon as the store is back", async () => {
    const fleet = openFleet();
    const { queue, server } = fleet;
    server.stop();
    const process = await fleet.start({ handler: forever });
    const { assurance } = process;
    expect(process.heard("store.down")).toEqual([{ reason: "the memory server is stopped: start() it" }]);
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    expect(await assurance.health()).toMatchObject({
      live: true,
      ready: false,
      store: { reachable: false },
      problems: ["the store cannot be reached"],
    });
    server.start();
    await until(() => process.told.includes("store.up"));
    await until(async () => (await assurance.health()).ready);
    expect(await instances(fleet)).toEqual([assurance.instance.incarnation]);
    await fleet.start();
    process.crash();
    await until(() => queue.get("1")?.state === "waiting");
  });

  test("with required is rejected when the store cannot be reached", async () => {
    const fleet = openFleet();
    fleet.server.stop();
    const { assurance } = fleet.create();
    expect(await codeOf(assurance.start({ required: true }))).toBe("ERR_STORE_UNREACHABLE");
    expect(await assurance.stop()).toEqual({ finished: 0, handedOver: 0, left: 0 });
  });

  test.each(["ERR_STORE_UNSUITED", "ERR_STORE_FORBIDDEN", "ERR_STORE_FOREIGN_DATA"] as const)(
    "is rejected when the store is the wrong one (%s), required or not",
    async (code) => {
      const fleet = openFleet();
      const open = (): Promise<never> => Promise.reject(new AssuranceError(code, "wrong"));
      const { assurance } = fleet.create({ store: (store) => ({ ...store, open }) });
      expect(await codeOf(assurance.start())).toBe(code);
    },
  );

  test("tells what the store warns of", async () => {
    const fleet = openFleet();
    const open: Store["open"] = async () => ({ server: "memory", warnings: ["persistence is off"] });
    const process = await fleet.start({ store: (store) => ({ ...store, open }) });
    expect(process.heard("warning")).toEqual([{ message: "persistence is off" }]);
  });

  test("holds a job that is fetched meanwhile until the store knows its process", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const [opening, opened] = [defer(), defer()];
    const known: boolean[] = [];
    const handler: Handler = async () => void known.push((await instances(fleet)).length === 1);
    const slow = (store: Store): Store => ({
      ...store,
      open: async () => {
        opening.resolve();
        await opened.promise;
        return store.open();
      },
    });
    queue.add("x", { id: "1" });
    const { assurance } = fleet.create({ handler, store: slow });
    const started = assurance.start();
    await opening.promise;
    await until(() => queue.get("1")?.state === "held");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(known).toEqual([]);
    opened.resolve();
    await started;
    await until(() => queue.get("1")?.state === "finished");
    expect(known).toEqual([true]);
  });

  test("does not hold a job for ever, though the pulse never gets ready", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const never = new Promise<void>(() => {});
    queue.add("x", { id: "1" });
    const process = await fleet.start({
      handler: async () => {},
      store: (store) => ({
        ...store,
        pulse: async (registration, listener) => changed(await store.pulse(registration, listener), { ready: never }),
      }),
    });
    await until(() => queue.get("1")?.state === "finished");
    expect(process.assurance.instance.phase).toBe("member");
  });

  test("warns when a living process has the same name, and harms neither", async () => {
    const fleet = openFleet();
    const first = await fleet.start({ name: "twin" });
    const second = await fleet.start({ name: "twin" });
    expect(second.heard("warning")).toMatchObject([
      { message: expect.stringContaining(first.assurance.instance.incarnation) as string },
    ]);
    expect(await instances(fleet)).toHaveLength(2);
  });

  test("gives the jobs of an absent process of the same name back at once, without the grace", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const first = await fleet.start({ name: "pod", handler: forever, presenceGrace: 600_000 });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    first.crash();
    const second = await fleet.start({ name: "pod" });
    await until(() => queue.get("1")?.state === "waiting");
    expect(second.heard("instance.dead")).toMatchObject([{ death: { cause: "replaced" } }]);
    expect(second.heard("warning")).toEqual([]);
  });
});

describe("stop", () => {
  test("tells what became of the jobs: ended, handed over, or left to the others", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const ends = defer();
    const handler: Handler = (job, signal) => {
      if (job.id === "ends") return ends.promise;
      return job.id === "heeds" ? untilAborted(job, signal) : forever(job, signal);
    };
    const adapter = memoryAdapter({ queue, process: handler, concurrency: 4 });
    const requeue: QueueAdapter["requeue"] = async (orphan, options) => {
      if (orphan.id === "stuck") throw new Error("not now");
      return adapter.requeue(orphan, options);
    };
    const process = await fleet.start({ adapters: [changed<QueueAdapter>(adapter, { requeue })] });
    const ids = ["ends", "heeds", "ignores", "stuck"].map((id) => queue.add("x", { id }));
    await until(() => ids.every((id) => queue.get(id)?.state === "held"));
    const stopped = process.assurance.stop({ timeout: 100 });
    ends.resolve();
    expect(await stopped).toEqual({ finished: 1, handedOver: 2, left: 1 });
    expect(ids.map((id) => queue.get(id)?.state)).toEqual(["finished", "waiting", "waiting", "held"]);
    expect(process.heard("orphan.recovered").map(({ deaths }) => deaths)).toEqual([0, 0]);
    expect(process.heard("orphan.failed")).toMatchObject([{ orphan: { id: "stuck" } }]);
    const watcher = await fleet.start();
    await until(() => queue.get("stuck")?.state === "waiting");
    expect(watcher.heard("orphan.recovered")).toMatchObject([{ deaths: 0, delay: 0 }]);
    for (const id of ids) expect(await fleet.store.casebook.deaths(queue.key, id, 60_000)).toBe(0);
  });

  test("waits for the running jobs as long as it may, fetches no other, and beats on meanwhile", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const ends = defer();
    const process = await fleet.start({ handler: () => ends.promise, concurrency: 5 });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    const stopped = process.assurance.stop();
    await until(() => process.assurance.instance.phase === "leaving");
    const before = process.pulse.lastBeat!;
    queue.add("x", { id: "2" });
    await until(() => process.pulse.lastBeat! > before);
    expect(process.pulse.present).toBe(true);
    expect(queue.get("2")?.state).toBe("waiting");
    ends.resolve();
    expect(await stopped).toEqual({ finished: 1, handedOver: 0, left: 0 });
    expect(process.told.at(-1)).toBe("instance.retired");
    expect(await instances(fleet)).toEqual([]);
  });

  test("may be called again: the same report, and one handover", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const { assurance, heard } = await fleet.start({ handler: forever });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    const [first, second] = await Promise.all([assurance.stop({ timeout: 10 }), assurance.stop({ timeout: 60_000 })]);
    expect(first).toEqual({ finished: 0, handedOver: 1, left: 0 });
    expect(second).toBe(first);
    expect(await assurance.stop()).toBe(first);
    expect(heard("instance.retired")).toHaveLength(1);
  });

  test("during start waits for it, and leaves nothing behind", async () => {
    const fleet = openFleet();
    const { assurance } = fleet.create();
    const started = assurance.start();
    await assurance.stop();
    await started;
    expect(assurance.instance.phase).toBe("gone");
    expect(await instances(fleet)).toEqual([]);
    expect((await fleet.store.ledger.history("deaths", { limit: 10 })).items).toMatchObject([
      { type: "instance.retired" },
    ]);
  });

  test("is what leaving a scope does", async () => {
    const fleet = openFleet();
    const { assurance } = await fleet.start();
    await assurance[Symbol.asyncDispose]();
    expect(assurance.instance.phase).toBe("gone");
  });

  test("hands over without the store too: what is back in its queue counts as handed over", async () => {
    const fleet = openFleet();
    const { queue, server } = fleet;
    const { assurance } = await fleet.start({ handler: forever });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    server.stop();
    expect(await assurance.stop({ timeout: 10 })).toEqual({ finished: 0, handedOver: 1, left: 0 });
    expect(queue.get("1")?.state).toBe("waiting");
  });

  test("ends, and hands over, though the recovery of a queue hangs", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const hung = defer();
    const adapter = memoryAdapter({ queue, process: forever });
    const upkeep = (): Promise<void> => (hung.resolve(), new Promise(() => {}));
    const { assurance } = await fleet.start({ adapters: [changed<QueueAdapter>(adapter, { upkeep })] });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    await hung.promise;
    expect(await assurance.stop({ timeout: 10 })).toEqual({ finished: 0, handedOver: 1, left: 0 });
  });

  test("goes on whatever fails: each failure is told", async () => {
    const fleet = openFleet();
    const detach = (): Promise<never> => Promise.reject(new Error("cannot detach"));
    const adapter = changed<QueueAdapter>(memoryAdapter({ queue: fleet.queue }), { detach });
    const process = await fleet.start({
      adapters: [adapter],
      store: (store) => ({
        ...store,
        roster: changed(store.roster, { yieldDuties: () => Promise.reject(new Error("cannot yield")) }),
      }),
    });
    await process.assurance.stop();
    expect(process.heard("error").map(({ during }) => during)).toEqual(["giving duties up", "detaching"]);
    expect(await instances(fleet)).toEqual([]);
  });
});

describe("signals", () => {
  const signals = ["SIGTERM", "SIGINT"] as const;

  test("hand over, then exit with the signal's code; a second one exits at once", async () => {
    const fleet = openFleet();
    const exit = vi.spyOn(process, "exit").mockImplementation(() => undefined as never);
    const before = signals.map((signal) => process.listeners(signal));
    const { assurance } = await fleet.start({ signals: true });
    const [leave] = process.listeners("SIGTERM").filter((one) => !before[0]!.includes(one));
    leave!("SIGTERM");
    expect(exit).not.toHaveBeenCalled();
    await until(() => exit.mock.calls.length > 0);
    expect([exit.mock.calls, assurance.instance.phase]).toEqual([[[143]], "gone"]);
    leave!("SIGINT");
    expect(exit).toHaveBeenLastCalledWith(130);
    await until(() => exit.mock.calls.length === 3); // the mocked exit lets the second one go on
    exit.mockRestore();
    expect(signals.map((signal) => process.listeners(signal))).toEqual(before);
  });

  test("are left to the program unless it asks for them", async () => {
    const before = signals.map((signal) => process.listenerCount(signal));
    await openFleet().start();
    expect(signals.map((signal) => process.listenerCount(signal))).toEqual(before);
  });
});

describe("an observer", () => {
  test("registers nothing, holds no duty and hooks into no worker, but may look and act", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const worker = await fleet.start({ handler: async () => Promise.reject(new Error("broken")) });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "failed");
    await worker.adapter.pause();
    const attach = vi.fn<QueueAdapter["attach"]>();
    const observer = await fleet.start({
      role: "observer",
      adapters: [changed<QueueAdapter>(memoryAdapter({ queue }), { attach })],
    });
    const { snapshot } = observer.assurance;
    expect(attach).not.toHaveBeenCalled();
    expect(await snapshot.overview()).toMatchObject({ instances: 1, queues: [queue.key] });
    await observer.assurance.retry({ queue: queue.key, id: "1", actor: "ann" });
    expect(queue.get("1")?.state).toBe("waiting");
    expect(await observer.assurance.recover()).toMatchObject({ requeued: 0, failed: 0 });
    expect((await observer.assurance.audit()).queues).toEqual([queue.key]);
    expect(await observer.assurance.health()).toMatchObject({
      live: true,
      ready: true,
      instance: { role: "observer", phase: "new" },
      pulse: { mode: "none", present: false },
      duties: [],
      problems: [],
    });
    expect(observer.told).not.toContain("instance.started");
    await observer.assurance.stop();
    expect(await instances(fleet)).toEqual([worker.assurance.instance.incarnation]);
  });

  test("is not ready while the store is away, and ready again when it is back", async () => {
    const fleet = openFleet();
    const { assurance } = await fleet.start({ role: "observer" });
    fleet.server.stop();
    expect(await assurance.health()).toMatchObject({ live: true, ready: false, store: { reachable: false } });
    fleet.server.start();
    expect(await assurance.health()).toMatchObject({ live: true, ready: true });
  });
});

describe("health", () => {
  const brief = async (assurance: Assurance): Promise<unknown> => {
    const { live, ready, instance, problems } = await assurance.health();
    return { live, ready, phase: instance.phase, problems };
  };

  test("says in every phase whether to send work, and whether a restart would help", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const [ends, endsAtLast] = [defer(), defer()];
    const process = fleet.create({ handler: ({ id }) => (id === "1" ? ends : endsAtLast).promise });
    const { assurance } = process;
    expect(await brief(assurance)).toEqual({
      live: true,
      ready: false,
      phase: "new",
      problems: ["this instance is new", "the store cannot be reached"],
    });
    await assurance.start();
    await until(async () => (await assurance.health()).duties.length === 2);
    expect(await assurance.health()).toMatchObject({
      live: true,
      ready: true,
      instance: { phase: "member", name: "p1", role: "worker" },
      store: { reachable: true, lastBeatAgo: expect.any(Number) as number },
      pulse: { mode: "main", present: true },
      duties: ["watch", queue.key],
      problems: [],
    });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    await fleet.store.roster.declare({ incarnation: assurance.instance.incarnation, cause: "left" });
    await until(() => process.told.includes("instance.fenced"));
    expect(await brief(assurance)).toEqual({
      live: true,
      ready: false,
      phase: "fenced",
      problems: ["this instance is fenced"],
    });
    ends.resolve();
    await until(() => process.told.includes("instance.reborn"));
    await until(async () => (await assurance.health()).ready);
    queue.add("x", { id: "2" });
    await until(() => queue.get("2")?.state === "held");
    const stopped = assurance.stop();
    await until(() => assurance.instance.phase === "leaving");
    expect(await brief(assurance)).toMatchObject({ live: true, ready: false, problems: ["this instance is leaving"] });
    endsAtLast.resolve();
    await stopped;
    expect(await brief(assurance)).toMatchObject({ live: false, ready: false, phase: "gone" });
  });

  test("is not ready once no beat was confirmed for as long as the lease", async () => {
    const fleet = openFleet();
    const { assurance, pulse } = await fleet.start({ heartbeatTtl: 40 });
    pulse.freeze();
    await until(async () => !(await assurance.health()).ready);
    expect((await assurance.health()).problems).toEqual([expect.stringMatching(/^no beat was confirmed for \d+ s$/)]);
  });
});
