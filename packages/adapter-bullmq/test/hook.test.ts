import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { AssuranceError } from "@assured-jobs/core";
import type { Worker } from "bullmq";
import { Scene, versions } from "./support/bull.ts";
import { dead } from "./support/dead.ts";
import { controlOf, gate, RecordingHost, until } from "@assured-jobs/core/testing";
import { guardFinish } from "../src/finish.ts";
import type { BullmqAdapter, BullmqAdapterOptions } from "../src/index.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

describe.each(versions)("workers of $label", (bull) => {
  const open = (): Scene => new Scene(bull, server.url);

  async function assured(
    scene: Scene,
    worker: Worker,
    options: BullmqAdapterOptions = {},
  ): Promise<{ adapter: BullmqAdapter; host: RecordingHost }> {
    const host = new RecordingHost();
    const adapter = scene.adapter({ workers: [worker], queues: [scene.queue], ...options });
    await adapter.attach(host);
    return { adapter, host };
  }

  const orphanOf = async (adapter: BullmqAdapter, scene: Scene, worker: Worker) =>
    (await adapter.heldBy(scene.key, [dead(worker.id)]))[0]!;

  test("a run is reported from before its first instruction until the queue accepted its end", async () => {
    const scene = open();
    const order: string[] = [];
    const { opened, open: finish } = gate();
    const worker = scene.worker(async () => {
      order.push("handler");
      await opened;
    });
    const { adapter, host } = await assured(scene, worker);
    const job = await scene.queue.add("charge", {});
    await until("the handler runs", () => order.length === 1);
    const [reported] = host.runs;
    const proof = await scene.lockOf(job.id!);
    expect(reported!.run).toEqual({ queue: scene.key, id: job.id, run: 1, name: "charge", proof });
    expect(proof!.startsWith(`${adapter.holders(scene.key)[0]}:`)).toBe(true);
    expect(reported!.ended).toBe(false);
    finish();
    await until("ended", () => reported!.ended);
    expect(await adapter.state(scene.key, job.id!)).toBe("finished");
  });

  test("what processJob gives back goes through: the next job is fetched with the finish of the last", async () => {
    const scene = open();
    await scene.queue.addBulk(Array.from({ length: 20 }, () => ({ name: "work", data: {} })));
    const worker = scene.worker(async () => "ok", { autorun: false });
    const { host } = await assured(scene, worker);
    void worker.run();
    await until("all completed", async () => (await scene.queue.getCompletedCount()) === 20);
    expect(host.runs.map(({ run }) => run.run)).toEqual(Array(20).fill(1));
  });

  test("a job that throws fails as it would without us", async () => {
    const scene = open();
    const worker = scene.worker(async () => {
      throw new Error("broken");
    });
    await assured(scene, worker);
    const job = await scene.queue.add("work", {}, { attempts: 2 });
    await until("failed", () => job.isFailed());
    const after = (await scene.queue.getJob(job.id!))!;
    expect(after.attemptsMade).toBe(2);
    expect(after.failedReason).toBe("broken");
  });

  test("un-tracked jobs are not reported, and not listed as orphans", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const worker = scene.worker(() => opened, { concurrency: 2 });
    const { adapter, host } = await assured(scene, worker, { track: { only: ["charge"] } });
    await scene.queue.addBulk(["charge", "ping"].map((name) => ({ name, data: {} })));
    await until("both run", async () => (await scene.queue.getActiveCount()) === 2);
    await until("reported", () => host.runs.length === 1);
    expect(host.runs[0]!.run.name).toBe("charge");
    const orphans = await adapter.heldBy(scene.key, [dead(worker.id)]);
    expect(orphans.map(({ name }) => name)).toEqual(["charge"]);
    finish();
  });

  test("except names those that keep BullMQ's own rules", async () => {
    const scene = open();
    await scene.hold("ghost", [{ name: "charge" }, { name: "ping" }]);
    const adapter = scene.adapter({ queues: [scene.queue], track: { except: ["ping"] } });
    const orphans = await adapter.heldBy(scene.key, [dead("ghost")]);
    expect(orphans.map(({ name }) => name)).toEqual(["charge"]);
  });

  test("an aborted run's handler sees its signal, and its failure is not recorded as one", async () => {
    const scene = open();
    let seen: unknown;
    let runs = 0;
    const worker = scene.worker(async (_job, _token, signal) => {
      if (++runs > 1) return;
      await new Promise((_, reject) => signal!.addEventListener("abort", () => reject((seen = signal!.reason))));
    });
    const { adapter, host } = await assured(scene, worker);
    const job = await scene.queue.add("work", {});
    await until("it runs", () => runs === 1);
    const reason = new AssuranceError("ERR_HANDOVER", "leaving");
    host.runs[0]!.abort.abort(reason);
    await until(
      "it was handed back and ran again",
      async () => (await adapter.state(scene.key, job.id!)) === "finished",
    );
    expect(seen).toBe(reason);
    const after = (await scene.queue.getJob(job.id!))!;
    expect(after.attemptsMade).toBe(1);
    expect(after.attemptsStarted).toBe(2);
  });

  test("an abort that comes when its run has ended does not stop the next run of the job", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const signals: AbortSignal[] = [];
    const worker = scene.worker(async (job, _token, signal) => {
      signals.push(signal!);
      if (job.attemptsStarted === 1) throw new Error("once more");
      await opened;
    });
    const { host } = await assured(scene, worker);
    const job = await scene.queue.add("work", {}, { attempts: 2 });
    await until("the second run goes on", () => signals.length === 2);
    host.runs[0]!.abort.abort(new Error("late"));
    expect(signals[1]!.aborted).toBe(false);
    finish();
    await until("completed", () => job.isCompleted());
  });

  test("a fenced run that fails is left to those who recover it", async () => {
    const scene = open();
    const worker = scene.worker(async (_job, _token, signal) => {
      await new Promise((_, reject) => signal!.addEventListener("abort", () => reject(signal!.reason)));
    });
    const { adapter, host } = await assured(scene, worker);
    const job = await scene.queue.add("work", {});
    await until("it runs", () => host.runs.length === 1);
    host.runs[0]!.abort.abort(new AssuranceError("ERR_FENCED", "declared dead"));
    await until("ended", () => host.runs[0]!.ended);
    expect(await adapter.state(scene.key, job.id!)).toBe("held");
    expect(await adapter.requeue(await orphanOf(adapter, scene, worker), { delay: 0 })).toBe("requeued");
  });

  test("a job that finished while its lock had lapsed is accepted, and not run again", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    let runs = 0;
    const worker = scene.worker(async () => {
      runs++;
      await opened;
      return "done";
    });
    const { host } = await assured(scene, worker);
    const job = await scene.queue.add("work", {});
    await until("it runs", () => runs === 1);
    await scene.lapse(job.id!);
    finish();
    await until("completed", () => job.isCompleted());
    expect((await scene.queue.getJob(job.id!))!.returnvalue).toBe("done");
    expect(host.lostRuns).toEqual([]);
  });

  test("a failure whose lock had lapsed is accepted too, with one stack trace", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const worker = scene.worker(async () => {
      await opened;
      throw new Error("broken");
    });
    const { host } = await assured(scene, worker);
    const job = await scene.queue.add("work", {});
    await until("it runs", () => host.runs.length === 1);
    await scene.lapse(job.id!);
    finish();
    await until("failed", () => job.isFailed());
    expect((await scene.queue.getJob(job.id!))!.stacktrace).toHaveLength(1);
  });

  test("a zombie's finish is refused after its run was given away, and it is told", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const worker = scene.worker(() => opened.then(() => "zombie"));
    const { adapter, host } = await assured(scene, worker);
    const job = await scene.queue.add("work", {});
    await until("it runs", () => host.runs.length === 1);
    const orphan = await orphanOf(adapter, scene, worker);
    await adapter.requeue(orphan, { delay: 0 });
    await scene.fetch("other");
    finish();
    await until("ended", () => host.runs[0]!.ended);
    expect(host.lostRuns.map(({ run }) => run.id)).toEqual([job.id]);
    expect(await adapter.state(scene.key, job.id!)).toBe("held");
    expect(await scene.lockOf(job.id!)).toBe("other:0");
  });

  test("a zombie's finish is refused while a newer run goes on whose own lock has lapsed", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const worker = scene.worker(() => opened.then(() => "zombie"));
    const { adapter, host } = await assured(scene, worker);
    const job = await scene.queue.add("work", {});
    await until("it runs", () => host.runs.length === 1);
    await adapter.requeue(await orphanOf(adapter, scene, worker), { delay: 0 });
    await scene.fetch("other");
    await scene.lapse(job.id!);
    finish();
    await until("ended", () => host.runs[0]!.ended);
    expect(host.lostRuns.map(({ run }) => run.run)).toEqual([1]);
    expect(await adapter.state(scene.key, job.id!)).toBe("held");
  });

  test("a zombie's finish is refused while its job waits to run again", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const worker = scene.worker(() => opened.then(() => "zombie"), { concurrency: 1 });
    const { adapter, host } = await assured(scene, worker);
    const job = await scene.queue.add("work", {});
    await until("it runs", () => host.runs.length === 1);
    await adapter.requeue(await orphanOf(adapter, scene, worker), { delay: 60_000 });
    finish();
    await until("ended", () => host.runs[0]!.ended);
    expect(await scene.queue.getDelayedCount()).toBe(1);
    expect(host.lostRuns.map(({ run }) => run.id)).toEqual([job.id]);
  });

  test("a lapsed lock is put back when BullMQ's renewal fails, and a lock of another aborts the run", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const worker = scene.worker(() => opened, { lockDuration: 400, concurrency: 2 });
    const { host } = await assured(scene, worker);
    const [kept, taken] = await scene.queue.addBulk(["a", "b"].map((name) => ({ name, data: {} })));
    await until("both run", () => host.runs.length === 2);
    await scene.lapse(kept!.id!);
    await scene.redis.set(scene.at(`${taken!.id}:lock`), "other:0");
    await until("told", () => host.lostRuns.length > 0);
    await until("put back", async () => (await scene.lockOf(kept!.id!)) !== null);
    expect(new Set(host.lostRuns.map(({ run }) => run.id))).toEqual(new Set([taken!.id]));
    expect(host.runs.find(({ run }) => run.id === taken!.id)!.abort.signal.aborted).toBe(true);
    finish();
  });

  test("a worker that fetches its own recovered job holds it back until its former run has returned", async () => {
    const scene = open();
    const gates = [gate(), gate()];
    let running = 0;
    let most = 0;
    const starts: number[] = [];
    const worker = scene.worker(
      async (job) => {
        most = Math.max(most, ++running);
        starts.push(job.attemptsStarted);
        await gates[starts.length - 1]!.opened;
        running--;
        return `run ${job.attemptsStarted}`;
      },
      { concurrency: 2, lockDuration: 600 },
    );
    const { adapter } = await assured(scene, worker);
    const job = await scene.queue.add("work", {});
    await until("it runs", () => starts.length === 1);
    await adapter.requeue(await orphanOf(adapter, scene, worker), { delay: 0 });
    await until("fetched again", async () => (await scene.queue.getJob(job.id!))!.attemptsStarted === 2);
    const lock = await scene.lockOf(job.id!);
    // Held back for longer than its lock would have lasted.
    const start = performance.now();
    await until("two lock durations passed", () => performance.now() - start > 1_200);
    expect(await scene.lockOf(job.id!)).toBe(lock);
    expect(starts).toEqual([1]);

    gates[0]!.open();
    await until("the second run starts", () => starts.length === 2);
    gates[1]!.open();
    await until("completed", () => job.isCompleted());
    expect(most).toBe(1);
    expect((await scene.queue.getJob(job.id!))!.returnvalue).toBe("run 2");
  });

  test("a run that was held back when the pause began goes back unseen", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    let starts = 0;
    const worker = scene.worker(
      async () => {
        starts++;
        await opened;
      },
      { concurrency: 2 },
    );
    const { adapter } = await assured(scene, worker);
    const job = await scene.queue.add("work", {});
    await until("it runs", () => starts === 1);
    await adapter.requeue(await orphanOf(adapter, scene, worker), { delay: 0 });
    await until("fetched again", async () => (await scene.queue.getJob(job.id!))!.attemptsStarted === 2);
    await adapter.pause();
    finish();
    await until("it waits", async () => (await adapter.state(scene.key, job.id!)) === "waiting");
    expect(starts).toBe(1);
  });

  test("jobs that ran before attach are reported until they end, and can be aborted", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    let aborted = false;
    const worker = scene.worker(
      async (job, _token, signal) => {
        signal?.addEventListener("abort", () => (aborted = true));
        if (job.name !== "next") await opened;
      },
      { concurrency: 2 },
    );
    const job = await scene.queue.add("early", {});
    await until("it runs", async () => (await scene.queue.getActiveCount()) === 1 && (await scene.lockOf(job.id!)));
    const { host } = await assured(scene, worker);
    await until("reported", () => host.runs.length === 1);
    expect(host.runs[0]!.run).toMatchObject({ id: job.id, run: 1, name: "early", proof: await scene.lockOf(job.id!) });
    host.runs[0]!.abort.abort(new Error("stop"));
    await until("its handler has heard", () => aborted);
    expect(host.runs[0]!.ended).toBe(false);
    finish();
    await until("ended", () => host.runs[0]!.ended);
    await scene.queue.add("next", {});
    await until("the next one is reported as usual", () => host.runs.length === 2);
  });

  test("a job that ran before attach and fails because it was told to stop has not failed: it is back before", async () => {
    const scene = open();
    const worker = scene.worker(
      (_job, _token, signal) =>
        new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("told to")))),
    );
    worker.on("error", () => {}); // BullMQ tells that the lock is gone
    const job = await scene.queue.add("early", {});
    await until("it runs", async () => (await scene.queue.getActiveCount()) === 1 && (await scene.lockOf(job.id!)));
    const { adapter, host } = await assured(scene, worker);
    await until("reported", () => host.runs.length === 1);
    await adapter.pause();
    host.runs[0]!.abort.abort(new Error("stop"));
    await until("ended", () => host.runs[0]!.ended);
    expect(await adapter.state(scene.key, job.id!)).toBe("waiting");
    expect((await scene.queue.getJob(job.id!))!.attemptsMade).toBe(0);
    expect(await scene.queue.getFailedCount()).toBe(0);
  });

  test("pause stops to fetch while runs go on, and resume fetches again", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const names: string[] = [];
    const worker = scene.worker(
      async (job) => {
        names.push(job.name);
        if (job.name === "slow") await opened;
      },
      { concurrency: 2 },
    );
    const { adapter } = await assured(scene, worker);
    await scene.queue.add("slow", {});
    await until("it runs", () => names.length === 1);
    await until("the worker sleeps", () => isFetching(scene));
    await adapter.pause();
    expect(worker.isPaused()).toBe(true);
    const later = await scene.queue.add("later", {});
    await until("the worker was woken", async () => !(await isFetching(scene)));
    expect(await adapter.state(scene.key, later.id!)).toBe("waiting");
    expect(names).toEqual(["slow"]);
    await adapter.resume({ renew: false });
    expect(worker.isPaused()).toBe(false);
    finish();
    await until("the later one ran", () => names.includes("later"));
  });

  test("resume fetches again although a run from before the pause still goes on", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const names: string[] = [];
    const worker = scene.worker(
      async (job) => {
        names.push(job.name);
        if (job.name === "slow") await opened;
      },
      { concurrency: 2 },
    );
    const { adapter } = await assured(scene, worker);
    await scene.queue.add("slow", {});
    await until("it runs", () => names.length === 1);
    await adapter.pause();
    await adapter.resume({ renew: false });
    expect(worker.isPaused()).toBe(false);
    finish();
    await scene.queue.add("later", {});
    await until("the later one ran", () => names.includes("later"));
  });

  test("a worker that the user paused stays paused", async () => {
    const scene = open();
    const worker = scene.worker(async () => {});
    const { adapter } = await assured(scene, worker);
    await worker.pause(true);
    await adapter.pause();
    await adapter.resume({ renew: true });
    expect(worker.isPaused()).toBe(true);
  });

  test("a worker that the user has not started is not started", async () => {
    const scene = open();
    const worker = scene.worker(async () => {}, { autorun: false });
    const { adapter } = await assured(scene, worker);
    await adapter.pause();
    await adapter.resume({ renew: true });
    expect(worker.isRunning()).toBe(false);
  });

  test("a new incarnation fetches under a new id, known to the store before the first fetch", async () => {
    const scene = open();
    const worker = scene.worker(async () => {}, { concurrency: 2 });
    const { adapter, host } = await assured(scene, worker);
    const former = worker.id;
    await until("the worker sleeps", () => isFetching(scene));
    await adapter.pause();
    const { opened, open: know } = gate();
    host.store = opened;
    const resumed = adapter.resume({ renew: true });
    await until("the store is told", () => host.changes === 1);
    expect(worker.isPaused()).toBe(true);
    know();
    await resumed;
    expect(adapter.holders(scene.key)).toEqual([worker.id]);
    expect(worker.id).not.toBe(former);

    await scene.queue.addBulk(Array.from({ length: 5 }, () => ({ name: "work", data: {} })));
    await until("all ran", async () => (await scene.queue.getCompletedCount()) === 5);
    expect(host.runs.filter(({ run }) => run.proof.startsWith(former))).toEqual([]);
  });

  test("a worker that was closed is dropped, and the store hears of it", async () => {
    const scene = open();
    const worker = scene.worker(async () => {});
    const { adapter, host } = await assured(scene, worker, { queues: [] });
    await worker.close();
    await until("dropped", () => host.changes === 1);
    expect(adapter.queues).toEqual([]);
  });

  test("a worker that was closed by force stays registered until its last handler has ended", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const worker = scene.worker(() => opened);
    const { adapter, host } = await assured(scene, worker);
    await scene.queue.add("work", {});
    await until("it runs", () => host.runs.length === 1);
    await worker.close(true);
    expect(adapter.holders(scene.key)).toEqual([worker.id]);
    expect(await adapter.heldBy(scene.key, [dead(worker.id)])).toHaveLength(1);
    finish();
    await until("dropped", () => adapter.holders(scene.key).length === 0);
    expect(host.changes).toBe(1);
  });

  test("workers come and go at run time", async () => {
    const scene = open();
    const adapter = scene.adapter({});
    const host = new RecordingHost();
    await adapter.attach(host);
    expect(adapter.queues).toEqual([]);
    const { opened, open: finish } = gate();
    const worker = scene.worker(() => opened);
    const original = processJobOf(worker);
    await adapter.add(worker);
    expect(adapter.queues).toEqual([scene.key]);
    expect(host.changes).toBe(1);
    await scene.queue.add("work", {});
    await until("it is reported", () => host.runs.length === 1);

    await adapter.remove(worker);
    expect(processJobOf(worker)).toBe(original);
    expect(adapter.holders(scene.key)).toEqual([worker.id]); // its last run is still ours
    finish();
    await until("gone", () => adapter.queues.length === 0);
  });

  test("detach gives the worker back as it was", async () => {
    const scene = open();
    const worker = scene.worker(async () => {}, { maxStalledCount: 4 });
    const listeners = () => ["lockRenewalFailed", "closed"].map((event) => worker.listenerCount(event));
    const before = listeners();
    const original = processJobOf(worker);
    const { adapter } = await assured(scene, worker);
    expect(processJobOf(worker)).not.toBe(original);
    expect(worker.opts.maxStalledCount).toBeGreaterThan(1_000_000);
    await adapter.detach();
    await adapter.detach();
    expect(processJobOf(worker)).toBe(original);
    expect(Object.hasOwn(worker, "processJob")).toBe(false);
    expect(worker.opts.maxStalledCount).toBe(4);
    expect(listeners()).toEqual(before);
  });

  test("a paused worker that is woken fetches nothing, after detach either, and an idle one wakes in its place", async () => {
    const scene = open();
    const sleeper = scene.worker(async () => {}, { drainDelay: 30 });
    const { adapter } = await assured(scene, sleeper);
    await until("the worker sleeps", () => isFetching(scene));
    await adapter.pause();
    await adapter.detach();
    const heirs: string[] = [];
    const heir = scene.worker(async ({ id }) => void heirs.push(id!), { drainDelay: 30 });
    await until("both sleep", async () => (await sleepers(scene)) === 2);
    const job = await scene.queue.add("work", {});
    await until("it has run", () => heirs.length === 1);
    expect((await scene.queue.getJob(job.id!))!.attemptsStarted).toBe(1);
    await heir.close();
  });

  test("pause resolves when no fetch is on its way: what one still brought is back, and never ran", async () => {
    const scene = open();
    let runs = 0;
    const worker = scene.worker(async () => void runs++, { autorun: false });
    const { opened: arrived, open: arrive } = gate();
    const fetch = Reflect.get(worker, "moveToActive") as (...args: unknown[]) => Promise<unknown>;
    Reflect.set(worker, "moveToActive", async (...args: unknown[]) => {
      const job = await fetch.apply(worker, args);
      await arrived;
      return job;
    });
    const { adapter } = await assured(scene, worker);
    const job = await scene.queue.add("work", {});
    void worker.run();
    await until("fetched", async () => (await scene.queue.getJob(job.id!))!.attemptsStarted === 1);
    let isPaused = false;
    const paused = adapter.pause().then(() => (isPaused = true));
    await until("it fetches no more", () => worker.isPaused());
    await scene.redis.ping();
    expect(isPaused).toBe(false);
    arrive();
    await paused;
    expect(await adapter.state(scene.key, job.id!)).toBe("waiting");
    expect(runs).toBe(0);
  });

  test("what an end fetched on top of it is back when pause, called again, resolves", async () => {
    for (let round = 0; round < 10; round++) {
      const scene = open();
      const worker = scene.worker(async () => {}, { concurrency: 3 });
      const { adapter, host } = await assured(scene, worker);
      await scene.queue.addBulk(Array.from({ length: 12 }, () => ({ name: "work", data: {} })));
      await until("it works", () => host.runs.length > round);
      await adapter.pause();
      await until("its runs have ended", () => host.runs.every(({ ended }) => ended));
      await adapter.pause();
      expect(await scene.queue.getActiveCount()).toBe(0);
    }
  });
});

const processJobOf = (worker: Worker): unknown => Reflect.get(worker, "processJob");

/* A worker that has nothing to do waits inside Redis: blocked (b), as the same command was before it got an answer. */
const sleepers = async (scene: Scene): Promise<number> =>
  [...String(await scene.redis.client("LIST")).matchAll(/flags=\S*b.* cmd=bzpopmin/g)].length;

const isFetching = async (scene: Scene): Promise<boolean> => (await sleepers(scene)) > 0;

/* What BullMQ hears of an end that the queue answers with `refusal`. */
async function endRefused(refusal: Error): Promise<{ error: unknown; refusals: unknown[] }> {
  const refusals: unknown[] = [];
  const job = {
    name: "work",
    attemptsStarted: 1,
    opts: {},
    stacktrace: null,
    moveToCompleted: () => Promise.reject(refusal),
    moveToFailed: () => Promise.reject(refusal),
    retry: async () => {},
    remove: async () => {},
  };
  guardFinish(job, {
    run: { queue: "q", id: "1", run: 1, proof: "" },
    control: controlOf(new AbortController().signal),
    referee: {
      relock: () => Promise.reject(new Error("no answer")),
      giveBack: async () => {},
      refused: (_run, error) => refusals.push(error),
    },
  });
  return { error: await job.moveToCompleted().catch((error: unknown) => error), refusals };
}

for (const [what, refusal] of [
  ["the lock could not be put back for lack of an answer", Object.assign(new Error("Missing lock"), { code: -2 })],
  ["the server forgot the script twice in a row", new Error("NOSCRIPT No matching script. Please use EVAL.")],
] as const)
  test(`a finish is not a failure, and is tried again, when ${what}`, async () => {
    const { error, refusals } = await endRefused(refusal);
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
    expect(refusals).toEqual([]);
  });
