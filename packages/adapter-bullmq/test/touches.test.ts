/* What this package takes for granted about the inside of BullMQ, one test for each. When one fails on a new version,
 * the line of code that it names has to be looked at before that version is supported. */
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import type { Worker } from "bullmq";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as moves from "../src/moves.ts";
import type { NativeMember, NativeWorker } from "../src/native.ts";
import { Scene, versions } from "./support/bull.ts";
import { gate, until } from "@assured-jobs/core/testing";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const native = (member: object): NativeMember => member as NativeMember;
const nativeWorker = (worker: Worker): NativeWorker => worker as unknown as NativeWorker;
const codeOf = (move: Promise<unknown>) => move.then(() => "accepted", moves.codeOf);

describe.each(versions)("inside $label", (bull) => {
  const open = (): Scene => new Scene(bull, server.url);

  test("toWait: the token decides, and the codes tell why not", async () => {
    const scene = open();
    const queue = native(scene.queue);
    const [id] = await scene.hold("ghost");
    expect(await codeOf(moves.toWait(queue, id!, "other:0"))).toBe(moves.CODE.mismatch);
    expect(await codeOf(moves.toWait(queue, "nobody", "ghost:0"))).toBe(moves.CODE.missing);
    expect(await codeOf(moves.toWait(queue, id!, "ghost:0"))).toBe("accepted");
    expect(await codeOf(moves.toWait(queue, id!, "ghost:0"))).toBe(moves.CODE.unlocked);
    expect(await scene.redis.lrange(scene.at("wait"), -1, -1)).toEqual([id]);
  });

  test("toDelayed: the token decides, and no attempt is counted", async () => {
    const scene = open();
    const queue = native(scene.queue);
    const [id] = await scene.hold("ghost");
    expect(await codeOf(moves.toDelayed(queue, id!, "other:0", 1_000))).toBe(moves.CODE.mismatch);
    expect(await codeOf(moves.toDelayed(queue, id!, "ghost:0", 60_000))).toBe("accepted");
    expect(await codeOf(moves.toDelayed(queue, id!, "ghost:0", 1_000))).toBe(moves.CODE.unlocked);
    expect(await codeOf(moves.toDelayed(queue, "nobody", "ghost:0", 1_000))).toBe(moves.CODE.missing);
    expect((await scene.queue.getJob(id!))!.attemptsMade).toBe(0);
    const score = Number(await scene.redis.zscore(scene.at("delayed"), id!)) / 4096;
    expect(Math.abs(score - Date.now() - 60_000)).toBeLessThan(5_000);
  });

  test("toFailed: the token decides; attempts and removeOnFail of the job do not", async () => {
    const scene = open();
    const queue = native(scene.queue);
    const [id] = await scene.hold("ghost", [{ opts: { attempts: 9, removeOnFail: true } }]);
    const job = (await moves.loadJob(queue, id!))!;
    expect(job.attemptsStarted).toBe(1);
    expect(await codeOf(moves.toFailed(queue, job, "other:0", "why"))).toBe(moves.CODE.mismatch);
    expect(await codeOf(moves.toFailed(queue, job, "ghost:0", "why"))).toBe("accepted");
    expect(await moves.stateOf(queue, id!)).toBe("failed");
    expect((await moves.loadJob(queue, id!))!.opts.removeOnFail).toBe(true);
  });

  test("loadJob, stateOf and promote work on a worker as on a queue", async () => {
    const scene = open();
    const later = await scene.queue.add("work", {}, { delay: 60_000 });
    for (const member of [native(scene.queue), native(scene.worker())]) {
      expect(await moves.stateOf(member, "nobody")).toBe("unknown");
      expect(await moves.loadJob(member, "nobody")).toBeUndefined();
      expect((await moves.loadJob(member, later.id!))!.name).toBe("work");
    }
    await moves.promote(native(scene.worker()), later.id!);
    expect(await moves.stateOf(native(scene.queue), later.id!)).toBe("waiting");
    expect(await codeOf(moves.promote(native(scene.queue), later.id!))).toBe(moves.CODE.elsewhere);
  });

  test("a token is the worker's id at the time of the fetch, a colon, and a counter", async () => {
    const scene = open();
    const worker = scene.worker(async () => {}, { autorun: false });
    nativeWorker(worker).id = "renamed";
    const tokens: string[] = [];
    worker.on("active", (job) => tokens.push(job.token!));
    void worker.run();
    await scene.queue.add("work", {});
    await until("fetched", () => tokens.length === 1);
    expect(tokens[0]).toMatch(/^renamed:\d+$/);
  });

  test("processJob of the instance is called for every job, with the job and its token, and may be replaced", async () => {
    const scene = open();
    const worker = nativeWorker(scene.worker(async () => {}));
    const original = worker.processJob.bind(worker);
    const seen: string[] = [];
    worker.processJob = async (job, token, ...rest) => {
      seen.push(`${job.id} ${job.attemptsStarted} ${token.startsWith(`${worker.id}:`)} ${rest.length}`);
      return original(job, token, ...rest);
    };
    const jobs = await scene.queue.addBulk([1, 2].map(() => ({ name: "work", data: {} })));
    await until("completed", async () => (await scene.queue.getCompletedCount()) === 2);
    expect(seen.toSorted()).toEqual(jobs.map(({ id }) => `${id} 1 true 1`).toSorted());
  });

  test("the lock manager knows each running job by its id, with its token", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    const worker = scene.worker(() => opened);
    const job = await scene.queue.add("work", {});
    const { trackedJobs } = nativeWorker(worker).lockManager;
    const tracked = await until("tracked", () => trackedJobs.get(job.id!));
    expect(tracked.token).toBe(await scene.lockOf(job.id!));
    expect(Math.abs(Date.now() - tracked.ts!), "when it was renewed last").toBeLessThan(60_000);
    finish();
    await until("forgotten", () => !trackedJobs.has(job.id!));
  });

  test("cancelJob aborts the handler's signal with the reason as given", async () => {
    const scene = open();
    const { opened, open: finish } = gate();
    let seen: AbortSignal | undefined;
    const worker = scene.worker(async (_job, _token, signal) => {
      seen = signal;
      await opened;
    });
    const job = await scene.queue.add("work", {});
    await until("it runs", () => seen);
    const reason = new Error("given away");
    expect(nativeWorker(worker).cancelJob(job.id!, reason)).toBe(true);
    expect(seen!.aborted).toBe(true);
    expect(seen!.reason).toBe(reason);
    finish();
  });

  test("maxStalledCount of the worker's options is read at each stall check", async () => {
    const scene = open();
    const worker = scene.worker(undefined, { maxStalledCount: 0 });
    await worker.waitUntilReady();
    nativeWorker(worker).opts.maxStalledCount = 5;
    const [id] = await scene.hold("ghost");
    await scene.lapse(id!);
    await scene.redis.sadd(scene.at("stalled"), id!);
    await (worker as unknown as { moveStalledJobsToWait(): Promise<void> }).moveStalledJobsToWait();
    expect(await scene.redis.hmget(scene.at(id!), "stc", "defa")).toEqual(["1", null]);
  });

  test("the stall check does nothing while its throttle key is there, and marks all active jobs when it is not", async () => {
    const scene = open();
    const worker = scene.worker() as unknown as { moveStalledJobsToWait(): Promise<void> };
    const [id] = await scene.hold("ghost");
    await scene.lapse(id!);
    await scene.redis.set(scene.at("stalled-check"), "x");
    await worker.moveStalledJobsToWait();
    expect(await scene.redis.exists(scene.at("stalled"))).toBe(0);
    await scene.redis.del(scene.at("stalled-check"));
    await worker.moveStalledJobsToWait();
    expect(await scene.redis.smembers(scene.at("stalled"))).toEqual([id]);
    expect(await moves.stateOf(native(scene.queue), id!)).toBe("active");
  });

  test("the fields that our scripts read: run, name, priority, deduplication, stalls, deferred failure", async () => {
    const scene = open();
    const opts = { priority: 4, deduplication: { id: "d", ttl: 60_000 } };
    const [id] = await scene.hold("ghost", [{ name: "charge", opts }]);
    const fields = await scene.redis.hmget(scene.at(id!), "ats", "name", "priority", "deid", "opts");
    expect(fields.slice(0, 4)).toEqual(["1", "charge", "4", "d"]);
    expect(JSON.parse(fields[4]!).de).toEqual({ id: "d", ttl: 60_000 });
    expect(await scene.redis.get(scene.at("de:d"))).toBe(id);
    await scene.redis.hset(scene.at(id!), { stc: 3, defa: "deferred" });
    const job = (await scene.queue.getJob(id!))!;
    expect([job.stalledCounter, job.deferredFailure]).toEqual([3, "deferred"]);
  });

  test("a finish that meets an error with the code ECONNREFUSED is tried again, and not recorded as a failure", async () => {
    const scene = open();
    let tries = 0;
    const worker = scene.worker(
      async (job) => {
        const complete = job.moveToCompleted.bind(job);
        job.moveToCompleted = async (...args) => {
          if (++tries === 1) throw Object.assign(new Error("no answer"), { code: "ECONNREFUSED" });
          return complete(...args);
        };
      },
      { runRetryDelay: 20 },
    );
    await worker.waitUntilReady();
    const job = await scene.queue.add("work", {});
    await until("completed", () => job.isCompleted());
    expect(tries).toBe(2);
  });

  test("a job that another worker holds is not removed, and the error says so", async () => {
    const scene = open();
    const [id] = await scene.hold("ghost");
    const job = (await moves.loadJob(native(scene.queue), id!))!;
    await expect(job.remove()).rejects.toThrow("locked by another worker");
  });
});
