/* What breaks around a queue, and how it works again: lost replies, lost scripts, a Redis that comes late. */
import { gate, RecordingHost, until } from "@assured-jobs/core/testing";
import { startProxy } from "@assured-jobs/dev-proxy";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import BeeQueue from "bee-queue";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { beeAdapter } from "../src/index.ts";
import { nativeOf, Scene } from "./support/bee.ts";
import type { Bee, BeeOptions } from "./support/bee.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

/** A worker whose path to Redis is in the hands of the test. */
async function behindProxy(scene: Scene) {
  const proxy = await startProxy({ target: server.port });
  onTestFinished(() => proxy.stop());
  const worker = scene.open({ redis: proxy.url as never });
  const host = new RecordingHost();
  const adapter = scene.adapter({ queues: [worker] });
  await adapter.attach(host);
  return { proxy, worker, host, adapter };
}

const succeeded = (scene: Scene): Promise<number> => scene.redis.scard(scene.keys.succeeded);

describe("an end that cannot be written", () => {
  const circular = (): object => {
    const one: { self?: object } = {};
    one.self = one;
    return one;
  };

  test.each<[string, () => unknown]>([
    ["circular", circular],
    ["a bigint", () => ({ sum: 1n })],
  ])("a result that is no JSON (%s): the job has succeeded, and does not run again", async (_, result) => {
    const scene = new Scene(server.url);
    const { worker, host } = await behindProxy(scene);
    const errors: unknown[] = [];
    worker.on("error", (error) => errors.push(error));
    worker.process(async () => result());
    const id = await scene.add();
    await until("it has ended", () => host.runs[0]?.ended);
    expect(await scene.redis.smembers(scene.keys.succeeded)).toEqual([id]);
    expect([await scene.active(), await scene.owners(), host.runs.length]).toEqual([[], {}, 1]);
    expect(errors.join()).toMatch(/circular|BigInt/i);
  });

  test("data that a handler made to no JSON: the job is in the failed set as it was, and its slot goes on", async () => {
    const scene = new Scene(server.url);
    const { worker, host, adapter } = await behindProxy(scene);
    worker.process(async (job) => {
      if (job.data.breaks) Object.assign(job.data, { self: circular() });
    });
    const id = await scene.add({ breaks: true });
    await until("it has ended", () => host.runs[0]?.ended);
    expect([await scene.active(), await scene.owners()]).toEqual([[], {}]);
    expect(await scene.redis.smembers(scene.keys.failed)).toEqual([id]);
    expect(JSON.parse((await scene.redis.hget(scene.keys.jobs, id)) ?? "")).toMatchObject({ data: { breaks: true } });
    await scene.add();
    await until("the next one runs", () => host.runs[1]?.ended);
    await adapter.release(scene.key, id);
    await until("and it can be put back", () => host.runs.length === 3);
  });
});

describe("an assurance that stopped", () => {
  test("can be followed by another one over the same queue", async () => {
    const scene = new Scene(server.url);
    const { worker, host, adapter } = await behindProxy(scene);
    worker.process(async () => 1);
    await scene.add();
    await until("it works", () => host.runs[0]?.ended);
    await adapter.pause();
    await adapter.detach();
    const next = new RecordingHost();
    await adapter.attach(next);
    await scene.add();
    await until("it works again", () => next.runs[0]?.ended);
  });
});

describe("lost replies", () => {
  test("jobs whose fetch was carried out and never answered go back, and run", async () => {
    const scene = new Scene(server.url);
    const { proxy, worker, host } = await behindProxy(scene);
    worker.process(4, async () => 1);
    await scene.add();
    await until("it works", () => host.runs[0]?.ended);
    for (let round = 0; round < 3; round++) {
      proxy.lose("replies");
      const ids = await Promise.all([scene.add(), scene.add(), scene.add()]);
      await until("they were taken, and nobody was told", async () => (await scene.active()).length > 0);
      await proxy.mend();
      await until("all ran", async () => {
        const done = await scene.redis.smismember(scene.keys.succeeded, ...ids);
        return done.every(Boolean);
      });
    }
    expect(await scene.active()).toEqual([]);
    expect(await scene.owners()).toEqual({});
  });

  test("pause() waits for a fetch on its way, and what that brings goes back unseen", async () => {
    const scene = new Scene(server.url);
    const { proxy, worker, host, adapter } = await behindProxy(scene);
    worker.process(async () => 1);
    await scene.add();
    await until("it works", () => host.runs[0]?.ended);
    proxy.freeze("replies");
    const id = await scene.add();
    await until("it was taken", async () => (await scene.active()).length === 1);
    let isQuiet = false;
    const pausing = adapter.pause().then(() => (isQuiet = true));
    for (let n = 0; n < 5; n++) await scene.redis.ping();
    expect(isQuiet).toBe(false);
    proxy.thaw();
    await pausing;
    expect([await scene.waiting(), host.runs.length, await scene.owners()]).toEqual([[id], 1, {}]);
  });

  test("an end that was not answered is told again, and counts once", async () => {
    const scene = new Scene(server.url);
    const { proxy, worker, host } = await behindProxy(scene);
    const { opened, open } = gate();
    const told: string[] = [];
    worker.on("succeeded", (job) => told.push(job.id));
    worker.process(() => opened);
    const id = await scene.add();
    await until("it runs", () => host.runs[0]);
    proxy.lose("replies");
    open();
    await until("the end has arrived", async () => (await succeeded(scene)) === 1);
    expect(told).toEqual([]);
    await proxy.mend();
    await until("and is known", () => told.length === 1);
    expect([told, host.lostRuns, await scene.owners()]).toEqual([[id], [], {}]);
  });

  test("an end that never arrived is told again", async () => {
    const scene = new Scene(server.url);
    const { proxy, worker, host } = await behindProxy(scene);
    const { opened, open } = gate();
    worker.process(() => opened);
    await scene.add();
    await until("it runs", () => host.runs[0]);
    await proxy.cut();
    open();
    await until("it was tried", () => host.runs[0]?.ended === false);
    expect(await succeeded(scene)).toBe(0);
    await proxy.mend();
    await until("it has arrived", async () => (await succeeded(scene)) === 1);
    await until("the run has ended", () => host.runs[0]?.ended);
  });

  test("nobody listens to the queue's errors, and a broken connection ends no process", async () => {
    const scene = new Scene(server.url);
    const { proxy, worker, host } = await behindProxy(scene);
    worker.removeAllListeners("error");
    const { opened, open } = gate();
    worker.process(2, () => opened);
    await scene.add();
    await until("it runs", () => host.runs[0]);
    for (const client of [nativeOf(worker).client, nativeOf(worker).bclient] as unknown as NodeJS.EventEmitter[]) {
      client.removeAllListeners("error"); // Bee's own one throws
      client.on("error", () => {});
    }
    await proxy.cut();
    open();
    await proxy.mend();
    await until("the end was accepted all the same", () => host.runs[0]?.ended);
    expect(await succeeded(scene)).toBe(1);
  });

  test("while its job was given away, an end that is told again is refused", async () => {
    const scene = new Scene(server.url);
    const { proxy, worker, host, adapter } = await behindProxy(scene);
    const { opened, open } = gate();
    const told: string[] = [];
    worker.on("succeeded", (job) => told.push(job.id));
    worker.process(() => opened);
    const id = await scene.add();
    const { run } = await until("it runs", () => host.runs[0]);
    await proxy.cut();
    open();
    const elsewhere = scene.adapter();
    const dead = { incarnation: {} as never, ids: adapter.holders(scene.key), claims: [] };
    const [orphan] = await elsewhere.heldBy(scene.key, [dead]);
    await elsewhere.requeue(orphan!, { delay: 0 });
    await proxy.mend();
    await until("it was refused", () => host.lostRuns[0]);
    expect(host.lostRuns[0]?.run).toEqual(run);
    await until("it runs again, and ends", () => host.runs[1]?.ended);
    expect(told).toEqual([id]);
  });

  test("after a connection was reset, as many run at once as before", async () => {
    const scene = new Scene(server.url);
    const { proxy, worker, host } = await behindProxy(scene);
    let [now, most] = [0, 0];
    worker.process(20, async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 100));
      now--;
    });
    await scene.add();
    await until("it works", () => host.runs[0]?.ended);
    proxy.reset();
    await until("20 run at once again", async () => {
      await scene.queue.saveAll(Array.from({ length: 40 }, () => scene.queue.createJob({})));
      await until("they ran", async () => (await scene.waiting()).length === 0);
      return most === 20;
    });
  });
});

describe("a Redis that is away", () => {
  interface Away {
    /** Between the attempts to connect again. */
    readonly waits: number[];
    /** What counts towards the hour after which redis 3 gives up, at each attempt. */
    readonly totals: number[];
    readonly errors: string[];
  }

  /** A worker whose Redis has gone. */
  async function away(redis: object): Promise<Away> {
    const scene = new Scene(server.url);
    const proxy = await startProxy({ target: server.port });
    onTestFinished(() => proxy.stop());
    const worker = scene.open({ redis: { url: proxy.url, ...redis } as never });
    scene.adapter({ queues: [worker] });
    await new Promise<void>((resolve) => worker.on("ready", resolve));
    const [waits, totals, errors]: [number[], number[], string[]] = [[], [], []];
    const client = nativeOf(worker).client as unknown as NodeJS.EventEmitter;
    client.on("reconnecting", ({ delay, total_retry_time: total }: { delay: number; total_retry_time: number }) => {
      waits.push(delay);
      totals.push(total);
    });
    worker.on("error", ({ message }) => errors.push(message));
    await proxy.cut();
    return { waits, totals, errors };
  }

  test("is asked every second at last, however long it was away, and never given up", async () => {
    const { waits, totals } = await away({});
    await until("seven attempts", () => waits.length === 7);
    expect(waits).toEqual([200, 340, 578, 983, 1_000, 1_000, 1_000]);
    expect(Math.max(...totals)).toBeLessThanOrEqual(1_000);
  });

  test("is asked as often as the user's own retry_strategy says", async () => {
    const strategy = ({ total_retry_time: total }: { total_retry_time: number }): number => 100 + total;
    const { waits } = await away({ retry_strategy: strategy });
    await until("four attempts", () => waits.length === 4);
    expect(waits).toEqual([100, 200, 400, 800]);
  });

  test("is given up when the user's own connect_timeout says so", async () => {
    const { waits, errors } = await away({ connect_timeout: 1_000 });
    await until("it is given up", () => errors.some((message) => message.includes("connection timeout exceeded")));
    expect(waits).toEqual([200, 340, 460]);
  });

  test(
    "and then connects, but is busy with a script: it works again when that is over",
    { timeout: 60_000 },
    async () => {
      const busy = await startRedis({ own: true, args: ["--busy-reply-threshold", "100"] });
      onTestFinished(() => busy.stop());
      const scene = new Scene(busy.url);
      const proxy = await startProxy({ target: busy.port });
      onTestFinished(() => proxy.stop());
      const worker = scene.open({ redis: proxy.url as never });
      const errors: string[] = [];
      worker.on("error", ({ message }) => errors.push(message));
      await scene.adapter({ queues: [worker] }).attach(new RecordingHost());
      worker.process(async () => 1);
      await scene.add();
      await until("it works", async () => (await succeeded(scene)) === 1);
      const script = scene.redis.eval("while true do end", 0).catch((error: Error) => error.message);
      const admin = new Redis(busy.url, { enableReadyCheck: false });
      onTestFinished(() => admin.disconnect());
      await until("it is busy", () =>
        admin
          .ping()
          .catch((error: Error) => error.message.startsWith("BUSY"))
          .then((is) => is === true),
      );
      proxy.reset();
      await until("it was refused", () => errors.some((message) => message.startsWith("Ready check failed: BUSY")));
      await admin.call("SCRIPT", "KILL");
      expect(await script).toContain("killed by user");
      await scene.add();
      await until("it works again", async () => (await succeeded(scene)) === 2);
    },
  );

  test("slots that were waiting in Bee's own way before the worker was assured work again at once", async () => {
    const scene = new Scene(server.url);
    const proxy = await startProxy({ target: server.port });
    onTestFinished(() => proxy.stop());
    const worker = scene.open({ redis: proxy.url as never });
    const gates = Array.from({ length: 3 }, gate);
    let [round, starts] = [0, 0];
    worker.process(8, () => (starts++, gates[round]?.opened));
    const fill = async (): Promise<void> => {
      starts = 0;
      await scene.queue.saveAll(Array.from({ length: 8 }, () => scene.queue.createJob({})));
      await until("all slots are at work", () => starts === 8);
      gates[round++]?.open();
      await until("all have ended", async () => (await scene.active()).length === 0);
    };
    await fill();
    await until("all wait in Bee's own way", async () =>
      (await scene.redis.info("commandstats")).includes("cmdstat_brpoplpush"),
    );
    await scene.adapter({ queues: [worker] }).attach(new RecordingHost());
    proxy.reset();
    await fill();
  });

  test("a stall check with a callback tells the callback, and ends no process", async () => {
    const scene = new Scene(server.url);
    const { worker } = await behindProxy(scene);
    await worker.ready();
    nativeOf(worker).client?.end(true);
    const told = new Promise<Error>((resolve) => worker.checkStalledJobs(60_000, resolve));
    expect(await told).toBeInstanceOf(Error);
    await new Promise((resolve) => setImmediate(resolve)); // by now an unhandled rejection would have failed this test
  });
});

describe("lost scripts", () => {
  test("after SCRIPT FLUSH jobs are saved, delayed ones raised, stalls checked, and jobs run", async () => {
    const scene = new Scene(server.url);
    const worker = scene.open({ activateDelayedJobs: true, delayedDebounce: 10 });
    const adapter = scene.adapter({ queues: [scene.queue, worker] });
    await adapter.attach(new RecordingHost());
    worker.process(async () => 1);
    await scene.add();
    await until("it works", async () => (await succeeded(scene)) === 1);
    await scene.redis.script("FLUSH");
    await scene.add();
    await scene.queue
      .createJob({})
      .delayUntil(Date.now() + 100)
      .save();
    await until("all ran", async () => (await succeeded(scene)) === 3);
    await scene.redis.script("FLUSH");
    expect(await worker.checkStalledJobs()).toBe(0);
    await adapter.detach();
    await scene.redis.script("FLUSH");
    await expect(scene.add()).rejects.toThrow("NOSCRIPT");
  });

  test("a batch tells which jobs it could not save, and the next one saves them", async () => {
    const scene = new Scene(server.url);
    scene.adapter();
    await scene.queue.ready();
    await scene.redis.script("FLUSH");
    const jobs = [1, 2, 3].map((n) => scene.queue.createJob({ n }));
    expect((await scene.queue.saveAll(jobs)).size).toBe(3);
    await until("the scripts are there", async () => (await scene.queue.saveAll(jobs)).size === 0);
    expect((await scene.waiting()).length).toBe(3);
  });
});

describe("a Redis that is down when the queue is made", () => {
  const connect = (url: string, name: string, options: BeeOptions = {}): Bee => {
    const queue = new BeeQueue(name, { redis: url as never, getEvents: false, ...options });
    queue.on("error", () => {});
    onTestFinished(() => queue.close(1).catch(() => {}));
    return queue;
  };

  for (const order of ["before", "after"] as const) {
    test(`is waited for; process() was called ${order} the adapter was made`, async () => {
      const proxy = await startProxy({ target: server.port });
      onTestFinished(() => proxy.stop());
      await proxy.cut();
      const scene = new Scene(server.url);
      const worker = connect(proxy.url, scene.name);
      const ran: string[] = [];
      const work = (): unknown => worker.process(3, async ({ id }) => void ran.push(id));
      if (order === "before") work();
      const adapter = beeAdapter({ queues: [worker] });
      onTestFinished(() => adapter.detach());
      if (order === "after") work();
      await adapter.attach(new RecordingHost());
      const id = await scene.add();
      await new Promise((resolve) => setTimeout(resolve, 700)); // at least one more try in vain
      await proxy.mend();
      await until("it works", () => ran.length === 1);
      expect(ran).toEqual([id]);
      const saved = await worker.createJob({}).save();
      await until("and is a producer as well", () => ran.length === 2);
      expect(ran).toEqual([id, saved.id]);
    });
  }
});
