/* Scheduled jobs and retries on their way to their queues: none stays behind another one that is broken. On a real Redis. */
import { until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SidekiqWorker } from "../src/index.ts";
import { Scene } from "./support/scene.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

/** A worker of a queue that nothing goes to, which polls often. */
const polling = (scene: Scene): SidekiqWorker => scene.worker({ queues: ["other"], pollInterval: 20 });

test("a hundred entries that are no UTF-8 hold up nothing behind them", async () => {
  const scene = new Scene(server.url);
  const { redis, keys } = scene;
  const broken = (n: number): Buffer =>
    Buffer.concat([Buffer.from(scene.text({ note: n })), Buffer.from([0x20, 0xff])]);
  for (let n = 0; n < 100; n++) await redis.zadd(keys.schedule, 1, broken(n));
  const within = Buffer.from(scene.text({ note: "?" }));
  within[within.indexOf("?")] = 0xff;
  await redis.zadd(keys.schedule, 2, within);
  await redis.zadd(keys.schedule, 3, scene.text({ jid: "good" }));
  const warnings: string[] = [];
  const worker = polling(scene).on("warning", (text) => warnings.push(text));
  await worker.start();
  await until("all are where they belong", async () => (await redis.zcard(keys.schedule)) === 0);
  const waiting = await scene.waiting();
  expect(waiting).toHaveLength(2); // what JSON can be read of has lost a byte of its text
  expect(waiting.join()).toContain('"jid":"good"');
  const dead = await redis.zrangeBuffer(keys.dead, "0", "-1");
  expect(dead).toHaveLength(100);
  expect(dead.every((entry) => entry.at(-1) === 0xff)).toBe(true);
  expect(warnings.join()).toMatch(/nobody can read \(100\)/);
});

test("an entry that names no queue is for Ruby's default one; one whose queue is no name is put aside", async () => {
  const scene = new Scene(server.url);
  const { redis, keys } = scene;
  await redis.zadd(keys.retry, 1, '{"class":"Job","args":[],"jid":"nameless"}');
  await redis.zadd(keys.retry, 1, '{"class":"Job","args":[],"jid":"five","queue":5}');
  await polling(scene).start();
  await until("they were moved", async () => (await redis.zcard(keys.retry)) === 0);
  expect(JSON.parse((await scene.waiting("default"))[0]!)).toMatchObject({ jid: "nameless", queue: "default" });
  expect((await redis.zrange(keys.dead, "0", "-1")).join()).toContain("five");
});
