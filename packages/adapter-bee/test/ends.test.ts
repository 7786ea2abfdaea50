/* Every end of a job leaves what Bee itself would leave: the same rows, lists, sets and events, for programs that go by
 * them. Each case is run by bare Bee and under assurance, and the two are compared. */
import { RecordingHost, until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import type BeeQueue from "bee-queue";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Scene } from "./support/bee.ts";
import type { Bee, BeeOptions } from "./support/bee.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

type Job = BeeQueue.Job<{ n?: number; changed?: boolean }>;
type Done = BeeQueue.DoneCallback<unknown>;
type Handler = ((job: Job) => Promise<unknown>) | ((job: Job, done: Done) => void);

interface Case {
  readonly settings?: BeeOptions;
  readonly shape?: (job: Job) => void;
  readonly handler: Handler;
  /** Ends of runs to wait for. */
  readonly ends?: number;
}

const fails = async (): Promise<never> => {
  throw new Error("on purpose");
};

const CASES: Record<string, Case> = {
  "a result": { handler: async ({ data }: Job) => ({ was: data }) },
  "a result by done": { handler: (job, done) => void setImmediate(() => done(null, [job.id, 1.5, null])) },
  "no result": { handler: async () => undefined },
  "a result, and the queue removes what succeeded": { settings: { removeOnSuccess: true }, handler: async () => 1 },
  "an error": { handler: fails },
  "an error by done": { handler: (_, done) => done(new Error("said")) },
  "an error thrown at once": {
    handler: () => {
      throw new TypeError("at once");
    },
  },
  "an error that is none": { handler: () => Promise.reject(Object.assign(Object.create(null), { message: "odd" })) },
  "an error, and the queue removes what failed": { settings: { removeOnFailure: true }, handler: fails },
  "an error with retries left at once": { shape: (job) => void job.retries(1), handler: fails, ends: 2 },
  "an error with a delayed retry": {
    shape: (job) => void job.retries(2).backoff("fixed", 600_000),
    handler: fails,
  },
  "an exponential backoff": {
    shape: (job) => void job.retries(2).backoff("exponential", 600_000),
    handler: fails,
  },
  "a timeout": { shape: (job) => void job.timeout(30), handler: () => new Promise(() => {}) },
  "a handler that changes the data": {
    handler: async (job: Job) => {
      job.data = { changed: true };
    },
  },
  "progress on the way": {
    handler: async (job: Job) => {
      job.reportProgress(40);
      return "done";
    },
  },
  "a queue without events": { settings: { sendEvents: false }, handler: async () => 1 },
};

describe("what an end leaves is what Bee itself leaves", () => {
  for (const [name, one] of Object.entries(CASES)) {
    test(`after ${name}`, async () => {
      const bare = await leaves(one, false);
      const assured = await leaves(one, true);
      expect(assured).toEqual(bare);
    });
  }
});

async function leaves({ settings = {}, shape, handler, ends = 1 }: Case, assured: boolean): Promise<unknown> {
  const scene = new Scene(server.url, settings);
  const published = await listen(scene);
  const worker = scene.open(settings);
  const local = locally(worker);
  if (assured) await scene.adapter({ queues: [worker] }).attach(new RecordingHost());
  worker.process(1, handler as (job: Job) => Promise<unknown>);
  const job = scene.queue.createJob<Job["data"]>({ n: 1 }).setId("the-job");
  shape?.(job);
  await job.save();
  await until(
    `${ends} ends`,
    () => local.filter(([event]) => event !== "failed:fatal").length >= 2 * ends - 1 && local,
  );
  await until("the queue is idle", async () => (await scene.active()).length === 0);
  await scene.redis.ping();
  return { local, published, kept: await keptIn(scene) };
}

const EVENTS = ["succeeded", "retrying", "failed", "failed:fatal"] as const;

function locally(worker: Bee): unknown[][] {
  const seen: unknown[][] = [];
  for (const event of EVENTS)
    worker.on(event as "failed", (job, result: unknown) =>
      seen.push([event, job.id, job.status, result instanceof Error ? result.message : result]),
    );
  return seen;
}

async function listen({ keys }: Scene): Promise<unknown[]> {
  const heard: unknown[] = [];
  const subscriber = new Redis(server.url);
  onTestFinished(() => subscriber.disconnect());
  await subscriber.subscribe(keys.channels.events, keys.channels.earlierDelayed);
  subscriber.on("message", (channel: string, message: string) =>
    heard.push(channel === keys.channels.events ? JSON.parse(message) : "a job is due earlier"),
  );
  return heard;
}

async function keptIn({ redis, keys }: Scene): Promise<unknown> {
  const rows = await redis.hgetall(keys.jobs);
  return {
    jobs: Object.fromEntries(Object.entries(rows).map(([id, json]) => [id, tidy(JSON.parse(json))])),
    waiting: await redis.lrange(keys.waiting, 0, -1),
    active: await redis.lrange(keys.active, 0, -1),
    succeeded: await redis.smembers(keys.succeeded),
    failed: await redis.smembers(keys.failed),
    delayed: await redis.zrange(keys.delayed, "0", "-1"),
    stalling: await redis.smembers(keys.stalling),
  };
}

/* What differs between any two runs: times, and lines of stack traces. */
function tidy(job: { options: { timestamp: number; stacktraces: string[] } }): unknown {
  expect(job.options.timestamp).toBeGreaterThan(0);
  return { ...job, options: { ...job.options, timestamp: 0, stacktraces: job.options.stacktraces.map(firstLine) } };
}

const firstLine = (trace: unknown): unknown => (typeof trace === "string" ? trace.split("\n")[0] : trace);
