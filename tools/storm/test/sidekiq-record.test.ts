/* The storm's record of Sidekiq is read from commands; a history that was misread would pass what must not pass. */
import { SidekiqWorker } from "@assured-jobs/adapter-sidekiq";
import { startRedis } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import type { Fact } from "../src/history.mjs";
import { SidekiqRecord } from "../src/sidekiq/record.mjs";

async function open(): Promise<{ redis: Redis; record: SidekiqRecord; url: string }> {
  const server = await startRedis({ own: true });
  onTestFinished(() => server.stop());
  const redis = new Redis(server.url);
  onTestFinished(() => redis.disconnect());
  const record = new SidekiqRecord(redis, server.port);
  await record.open();
  onTestFinished(() => record.close());
  return { redis, record, url: server.url };
}

/** Job by job, each in its own order: a worker may fetch the next one before it ends the last one. */
const told = (facts: readonly Fact[]): unknown[] =>
  facts
    .toSorted((one, other) => one.job.localeCompare(other.job))
    .map(({ job, what, by, detail }) => [job, what, by?.process ?? detail].filter((part) => part !== undefined));

test("what became of each job is told in its order, and by whom", async () => {
  const { redis, record, url } = await open();
  const fail = (): never => {
    throw new Error(JSON.stringify({ process: "w1/1", run: 7 }));
  };
  const handlers = { Done: () => {}, Fails: fail, Odd: () => Promise.reject(new Error("by itself")) };
  const worker = new SidekiqWorker({ redis: url, tag: "w1/1", handlers, concurrency: 1 });
  worker.on("error", () => {}).on("warning", () => {});
  onTestFinished(() => worker.stop({ timeout: 0 }));
  const push = (job: object): Promise<number> =>
    redis.lpush("queue:default", JSON.stringify({ queue: "default", args: ['a "quoted" text\nand é \\'], ...job }));
  await push({ class: "Done", jid: "j1" });
  await push({ class: "Fails", jid: "j2", retry: 3 });
  await push({ class: "Fails", jid: "j3", retry: 0 });
  await push({ class: "Odd", jid: "j4", retry: 0 });
  await worker.start();
  const facts: Fact[] = [];
  await expect.poll(async () => (facts.push(...(await record.read())), facts.length), { timeout: 10_000 }).toBe(8);
  expect(told(facts)).toEqual([
    ["j1", "active"],
    ["j1", "completed", "w1/1"],
    ["j2", "active"],
    ["j2", "returned", "to be tried again"],
    ["j3", "active"],
    ["j3", "failed", "w1/1"],
    ["j4", "active"],
    ["j4", "failed", "by itself"],
  ]);
  const [begun, ended] = facts.filter(({ job }) => job === "j1");
  expect(ended?.by?.run).toBe(begun?.run);
});

test("an end that was refused, and a job that goes back twice, are not what they say", async () => {
  const { redis, record } = await open();
  const running = "assured:running:default";
  const job = '{"jid":"j1","args":[]}';
  const evaluate = (lua: string): Promise<unknown> => redis.eval(lua, 1, running, job);
  await evaluate("redis.call('HSET', KEYS[1], 'h:1:a#1:5', ARGV[1])");
  await evaluate(
    "redis.call('RPUSH', 'queue:default', ARGV[1]) redis.call('ZADD', 'assured:given:default', 1, 'h:1:a#1:5') redis.call('HDEL', KEYS[1], 'h:1:a#1:5')",
  );
  await evaluate("redis.call('HDEL', KEYS[1], 'h:1:a#1:5')");
  await evaluate("redis.call('HSET', KEYS[1], 'h:1:a#2:6', ARGV[1])");
  expect(told(await record.read())).toEqual([
    ["j1", "active"],
    ["j1", "returned", "given back"],
    ["j1", "active"],
  ]);
});

test("of several ends in one step each is told as what it is", async () => {
  const { redis, record } = await open();
  const job = (jid: string): string => JSON.stringify({ jid, args: [] });
  const proofs = [1, 2, 3, 4].map((run) => `h:1:a#1:${run}`);
  const jobs = ["j1", "j2", "j3", "j4"].map(job);
  await redis.eval(
    "redis.call('HSET', KEYS[1], unpack(ARGV))",
    1,
    "assured:running:default",
    ...proofs.flatMap((proof, at) => [proof, jobs[at]!]),
  );
  await redis.eval(
    `redis.call('ZADD', 'retry', 1, ARGV[6])
     redis.call('RPUSH', 'queue:default', ARGV[7])
     redis.call('ZADD', 'assured:given:default', 1, ARGV[3])
     redis.call('LPUSH', 'queue:default', ARGV[8])
     redis.call('HDEL', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])`,
    1,
    "assured:running:default",
    ...proofs,
    ...jobs,
  );
  expect(told(await record.read())).toEqual([
    ["j1", "active"],
    ["j1", "completed", "h:1:a"],
    ["j2", "active"],
    ["j2", "returned", "to be tried again"],
    ["j3", "active"],
    ["j3", "returned", "given back"],
    ["j4", "active"],
    ["j4", "returned", "not for this worker"],
  ]);
});

test("a hole in it is an error", async () => {
  const { redis, record } = await open();
  await redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await expect.poll(() => record.read().then(() => "", String), { timeout: 5_000 }).toContain("hole");
});
