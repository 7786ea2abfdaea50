import { describe, expect, test, vi } from "vitest";
import type { AssuranceError } from "../src/errors.ts";
import { currentJob } from "../src/runs.ts";
import type { CurrentJob } from "../src/live-run.ts";
import { defer, forever, openFleet, until, untilAborted } from "./support/fleet.ts";
import type { Fleet, Process } from "./support/fleet.ts";

/** Declares a living process dead, as a lapsed lease would. */
const declareDead = (fleet: Fleet, { assurance }: Process): Promise<unknown> =>
  fleet.store.roster.declare({ incarnation: assurance.instance.incarnation, cause: "left" });

/** Whether the store knows, at this very moment, whose jobs these would be. */
const isKnown = ({ server, queue }: Fleet, holder: string): boolean =>
  server
    .records("assured_jobs")
    .members.items()
    .some(({ registration }) => registration.holders[queue.key]?.includes(holder));

describe("a process that was declared dead but lives", () => {
  test("stops fetching, and tells its runs why, with a code", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const reasons: unknown[] = [];
    const ended = defer();
    const zombie = await fleet.start({
      concurrency: 2,
      handler: async (_job, signal) => {
        signal.addEventListener("abort", () => reasons.push(signal.reason));
        await ended.promise;
      },
    });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    await declareDead(fleet, zombie);
    await until(() => reasons.length === 1);
    expect((reasons[0] as AssuranceError).code).toBe("ERR_FENCED");
    expect(zombie.assurance.instance.phase).toBe("fenced");
    queue.add("x", { id: "2" });
    await new Promise((resolve) => setTimeout(resolve, 50)); // ten fetches of its worker
    expect(queue.get("2")?.state).toBe("waiting");
    ended.resolve();
    await until(() => queue.get("2")?.state === "finished");
  });

  test("cannot finish what was given away: the new run counts, and it is told", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const ended = defer();
    const zombie = await fleet.start({ handler: () => ended.promise, autoRecovery: false });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    const other = await fleet.start({ handler: forever });
    await declareDead(fleet, zombie);
    await until(() => queue.get("1")?.run === 2);
    ended.resolve();
    await until(() => zombie.told.includes("run.fenced"));
    expect(zombie.heard("run.fenced")).toEqual([
      { queue: queue.key, id: "1", run: 1, reason: "its job was given away" },
    ]);
    expect(queue.get("1")).toMatchObject({ state: "held", run: 2, holder: other.adapter.holders(queue.key)[0] });
  });

  test("is born again: a new incarnation, and new holder ids that the store knows before anything is fetched under them", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const fetch = queue.fetch.bind(queue);
    const unknown: string[] = [];
    vi.spyOn(queue, "fetch").mockImplementation((holder) => {
      if (!isKnown(fleet, holder)) unknown.push(holder);
      return fetch(holder);
    });
    const process = await fleet.start({ handler: untilAborted, concurrency: 2 });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    const former = process.assurance.instance.incarnation;
    const [formerId] = process.adapter.holders(queue.key);
    unknown.length = 0;
    await declareDead(fleet, process);
    await until(() => process.told.includes("instance.reborn"));
    const { incarnation, phase, name } = process.assurance.instance;
    expect(process.told.filter((event) => event.startsWith("instance."))).toEqual([
      "instance.started",
      "instance.fenced",
      "instance.reborn",
    ]);
    expect(process.heard("instance.reborn")).toEqual([{ incarnation, former }]);
    expect([incarnation === former, phase, name]).toEqual([false, "member", "p1"]);
    expect(process.adapter.holders(queue.key)).not.toContain(formerId);
    queue.add("x", { id: "2" });
    await until(() => queue.get("2")?.state === "held");
    expect(unknown.filter((holder) => holder !== formerId)).toEqual([]);
    expect(await fleet.store.roster.beat({ incarnation: former, ttl: 1, interval: 1, blockedFor: 0 })).toBe("fenced");
  });

  test("may be fenced more than once: each time it comes back, and works", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    await fleet.start(); // recovers
    const process = await fleet.start({
      autoRecovery: false,
      handler: async (job, signal) => {
        if (job.run > 2) return;
        await untilAborted(job, signal).catch(() => {});
        await until(() => queue.get(job.id)?.state === "waiting");
      },
    });
    queue.add("x", { id: "1" });
    for (const fencing of [1, 2]) {
      await until(() => queue.promote("1") ?? queue.get("1")?.run === fencing);
      await declareDead(fleet, process);
      await until(() => process.heard("instance.reborn").length === fencing);
    }
    await until(() => queue.promote("1") ?? queue.get("1")?.state === "finished");
    expect(queue.get("1")?.run).toBe(3);
  });

  test("while it registers takes none of what it had fetched by then into its next life", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const registered = defer();
    queue.add("x", { id: "1" });
    const started: { readonly run: number; readonly aborted: boolean }[] = [];
    const process = fleet.create({
      handler: async (job, signal) => {
        started.push({ run: job.run, aborted: signal.aborted });
        if (!signal.aborted) await untilAborted(job, signal);
      },
      store: (store) => ({
        ...store,
        roster: {
          ...store.roster,
          register: async (registration) => {
            const answer = await store.roster.register(registration);
            await registered.promise;
            return answer;
          },
        },
      }),
    });
    const starting = process.assurance.start();
    await until(() => queue.get("1")?.state === "held" && process.pulse.present);
    await declareDead(fleet, process);
    await until(() => process.told.includes("instance.fenced"));
    await new Promise((resolve) => setTimeout(resolve, 50)); // long enough for a rebirth that does not wait
    expect(process.told).not.toContain("instance.reborn");
    registered.resolve();
    await starting;
    await until(() => process.told.includes("instance.reborn"));
    expect(started.filter(({ run, aborted }) => run === 1 && !aborted)).toEqual([]);
  });

  test("is not born again when it leaves meanwhile: nothing of it beats on, and nothing fetches", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const [reaching, arrived] = [defer(), defer()];
    let pulses = 0;
    const process = await fleet.start({
      handler: async () => {},
      store: (store) => ({
        ...store,
        pulse: async (registration, listener) => {
          if (++pulses === 2) {
            reaching.resolve();
            await arrived.promise;
          }
          return store.pulse(registration, listener);
        },
        close: async () => {}, // so that only the process itself can end its pulse
      }),
    });
    await declareDead(fleet, process);
    await reaching.promise;
    await process.assurance.stop();
    arrived.resolve();
    await new Promise((resolve) => setTimeout(resolve, 60)); // three heartbeat intervals
    queue.add("x", { id: "1" });
    queue.fetch("somebody else");
    expect(process.told).not.toContain("instance.reborn");
    expect(process.pulse.present).toBe(false);
  });

  test("that is told to leave in the middle of its rebirth fetches nothing after its handover", async () => {
    const fleet = openFleet();
    const [resuming, go] = [defer(), defer()];
    const process = await fleet.start({ handler: untilAborted });
    const { adapter } = process;
    const steps: string[] = [];
    const resume = adapter.resume.bind(adapter);
    const pause = adapter.pause.bind(adapter);
    vi.spyOn(adapter, "resume").mockImplementation(async (options) => {
      resuming.resolve();
      await go.promise;
      await resume(options);
      steps.push("resumed");
    });
    vi.spyOn(adapter, "pause").mockImplementation(() => {
      steps.push("paused");
      return pause();
    });
    await declareDead(fleet, process);
    await resuming.promise;
    const stopped = process.assurance.stop({ timeout: 0 });
    await until(() => process.assurance.instance.phase !== "member");
    await new Promise((resolve) => setTimeout(resolve, 50)); // long enough for a handover that does not wait
    go.resolve();
    await stopped;
    await until(() => steps.includes("resumed"));
    expect(steps).toEqual(["paused", "resumed", "paused", "paused"]);
  });
});

describe("currentJob()", () => {
  test("is undefined outside of a run", () => {
    expect(currentJob()).toBeUndefined();
  });

  test("is this run's own in everything that the handler awaits, though others run at the same time", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const seen = new Map<string, CurrentJob | undefined>();
    const signals = new Map<string, AbortSignal>();
    await fleet.start({
      concurrency: 3,
      handler: async ({ id }, signal) => {
        await new Promise((resolve) => setTimeout(resolve, 10));
        signals.set(id, signal);
        seen.set(id, currentJob());
      },
    });
    for (const id of ["1", "2", "3"]) queue.add("x", { id });
    await until(() => seen.size === 3);
    for (const [id, job] of seen) expect(job?.signal).toBe(signals.get(id));
    expect(new Set([...seen.values()].map((job) => job?.signal)).size).toBe(3);
    expect(currentJob()).toBeUndefined();
  });

  test("answers undefined, and runs are given up all the same, where it was switched off", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const seen: (CurrentJob | undefined)[] = [];
    const process = await fleet.start({
      currentJob: false,
      handler: async (job, signal) => {
        seen.push(currentJob());
        return untilAborted(job, signal);
      },
    });
    queue.add("x", { id: "1" });
    await until(() => seen.length === 1);
    expect(await process.assurance.stop({ timeout: 0 })).toMatchObject({ handedOver: 1 });
    expect(seen).toEqual([undefined]);
  });

  test("tells the number of this run, which only grows, and how often a process died of the job", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const seen: [number, number][] = [];
    const first = await fleet.start({
      handler: async (job, signal) => {
        seen.push([currentJob()!.fencingToken, await currentJob()!.recoveries()]);
        return forever(job, signal);
      },
    });
    queue.add("x", { id: "1" });
    await until(() => seen.length === 1);
    await fleet.start({
      handler: async () => void seen.push([currentJob()!.fencingToken, await currentJob()!.recoveries()]),
    });
    first.crash();
    await until(() => seen.length === 2);
    expect(seen).toEqual([
      [1, 0],
      [2, 1],
    ]);
  });
});
