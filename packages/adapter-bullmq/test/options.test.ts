import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Queue, Worker } from "bullmq";
import * as five from "bullmq5";
import { Redis } from "ioredis";
import { Scene, versions } from "./support/bull.ts";
import { RecordingHost } from "@assured-jobs/core/testing";
import { bullmqAdapter, sandboxGuard } from "../src/index.ts";
import type { BullmqAdapterOptions } from "../src/index.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const refused = (options: unknown) => {
  try {
    bullmqAdapter(options as BullmqAdapterOptions);
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error("it was accepted");
};

test("things that are no workers or queues are refused, and the message names what was given", () => {
  expect(refused({ workers: [new Date()] })).toMatchObject({ code: "ERR_OPTION" });
  expect(refused({ workers: [new Date()] }).message).toContain("Date");
  expect(refused({ queues: ["payments"] }).message).toContain("string");
  expect(refused({ workers: {} })).toMatchObject({ code: "ERR_OPTION" });
});

test("a track that is neither only nor except is refused", () => {
  for (const track of [{}, { only: ["a"], except: ["b"] }, { only: "a" }, { except: [1] }, 7]) {
    expect(refused({ track })).toMatchObject({ code: "ERR_OPTION" });
  }
});

test("a worker of a BullMQ that is too old is refused", () => {
  const old = { name: "q", qualifiedName: "bull:q", opts: {}, processJob: () => {} };
  const error = refused({ workers: [old] });
  expect(error).toMatchObject({ code: "ERR_QUEUE_UNSUPPORTED" });
  expect(error.message).toContain("5.64");
});

test("a queue on another backend than Redis is refused, and the message says why", () => {
  const postgres = { moveJobFromActiveToWait: () => {} };
  const queue = {
    name: "q",
    qualifiedName: "q",
    opts: {},
    getJob: () => {},
    toKey: () => {},
    getBackend: () => postgres,
  };
  const error = refused({ queues: [queue] });
  expect(error).toMatchObject({ code: "ERR_QUEUE_UNSUPPORTED" });
  expect(error.message).toContain("not Redis");
});

test("an unknown queue is refused with what to do", async () => {
  await expect(async () => bullmqAdapter().state("bullmq:bull:x", "1")).rejects.toMatchObject({
    code: "ERR_QUEUE_UNREACHABLE",
  });
});

test("the user's typed objects of both versions are taken as they are", async () => {
  const connection = { host: "127.0.0.1", port: server.port };
  const members = [
    new Worker<{ cents: number }, string, "charge">("typed", async () => "ok", { connection, autorun: false }),
    new five.Worker<{ cents: number }>("typed5", async () => "ok", { connection, autorun: false }),
  ] as const;
  const queues = [
    new Queue<{ cents: number }>("typed", { connection }),
    new five.Queue("typed5", { connection }),
  ] as const;
  const adapter = bullmqAdapter({
    workers: [members[0], members[1]],
    queues: [queues[0], queues[1]],
    track: { only: ["charge"] },
  });
  expect(adapter.queues).toEqual(["bullmq:bull:typed", "bullmq:bull:typed5"]);
  await adapter.remove(members[0]);
  await adapter.remove(queues[0]);
  expect(adapter.queues).toEqual(["bullmq:bull:typed5"]);
  await Promise.all([...members, ...queues].map((member) => member.close()));
});

describe.each(versions)("ownership on $label", (bull) => {
  test("the same worker twice, or in two adapters, is refused until it is free again", async () => {
    const scene = new Scene(bull, server.url);
    const worker = scene.worker(async () => {});
    expect(refused({ workers: [worker, worker] }).message).toContain("twice");
    const first = scene.adapter({ workers: [worker] });
    expect(refused({ workers: [worker] }).message).toContain("another adapter");
    await first.attach(new RecordingHost());
    await first.detach();
    await scene.adapter({ workers: [worker] }).attach(new RecordingHost());
    await expect(first.attach(new RecordingHost())).rejects.toMatchObject({ code: "ERR_OPTION" });
  });

  test("several workers and queues of one queue are one queue with several holders", async () => {
    const scene = new Scene(bull, server.url, { queue: { prefix: "{custom}" } });
    const workers = [1, 2].map(() => scene.worker(undefined, { prefix: "{custom}" }));
    const adapter = scene.adapter({ workers, queues: [scene.queue] });
    expect(adapter.queues).toEqual([`bullmq:{custom}:${scene.queue.name}`]);
    expect(adapter.holders(adapter.queues[0]!)).toEqual(workers.map(({ id }) => id));
  });

  test("a process with queues only holds no jobs", () => {
    const scene = new Scene(bull, server.url);
    expect(scene.adapter().holders(scene.key)).toEqual([]);
  });

  test("a sandboxed worker without guard is warned about", async () => {
    const scene = new Scene(bull, server.url);
    const file = new URL("./support/sandboxed.cjs", import.meta.url).pathname;
    const warned = async (options: object): Promise<number> => {
      const host = new RecordingHost();
      await scene.adapter({ workers: [scene.worker(file, { ...options, autorun: false })] }).attach(host);
      return host.warnings.filter((message) => message.includes("sandboxGuard()")).length;
    };
    expect(await warned({})).toBe(1);
    expect(await warned({ workerForkOptions: sandboxGuard() })).toBe(0);
    expect(await warned({ useWorkerThreads: true })).toBe(0);
  });
});

describe("connection() names the Redis of the first queue", () => {
  const of = (connection: unknown) => {
    const queue = new Queue("c", { connection: connection as { host: string } });
    queue.on("error", () => {});
    const named = bullmqAdapter({ queues: [queue] }).connection!();
    return { queue, named };
  };

  test("from options", async () => {
    const { queue, named } = of({ host: "127.0.0.1", port: server.port, db: 2 });
    expect(named).toEqual({ kind: "standalone", options: { host: "127.0.0.1", port: server.port, db: 2 } });
    await queue.close();
  });

  test("from a URL", async () => {
    const { queue, named } = of({ url: server.url, connectTimeout: 900 });
    expect(named).toEqual({ kind: "standalone", url: server.url, options: { connectTimeout: 900 } });
    await queue.close();
  });

  test("from an ioredis instance", async () => {
    const redis = new Redis({ host: "127.0.0.1", port: server.port, db: 3, maxRetriesPerRequest: null });
    const { queue, named } = of(redis);
    expect(named).toMatchObject({ kind: "standalone", options: { host: "127.0.0.1", port: server.port, db: 3 } });
    await queue.close();
    redis.disconnect();
  });

  test("not from a driver that is not ioredis", () => {
    const nodeRedis = { sendCommand: () => {}, isOpen: true };
    const queue = {
      name: "q",
      qualifiedName: "bull:q",
      opts: { connection: nodeRedis },
      getJob: () => {},
      toKey: () => {},
    };
    const scripts = { moveJobFromActiveToWait: () => {} };
    const adapter = bullmqAdapter({ queues: [{ ...queue, scripts } as never] });
    expect(adapter.connection!()).toBeUndefined();
  });

  test("not without a queue", () => {
    expect(bullmqAdapter().connection!()).toBeUndefined();
  });
});
