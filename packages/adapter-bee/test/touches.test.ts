/* Every private part of bee-queue that this package touches, held against bee-queue itself: a version that changes one
 * fails here, by name, and not in somebody's production. */
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "@assured-jobs/core/testing";
import { createRequire } from "node:module";
import { jobClassOf } from "../src/native.ts";
import { nativeOf, Scene } from "./support/bee.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

/** In the order in which Bee calls them for one job. */
const STEPS = ["_waitForJob", "_runJob", "_preventStall", "_finishJob"] as const;

test("Bee calls fetch, run, stall mark and end through the instance, in this order", async () => {
  const scene = new Scene(server.url);
  const worker = scene.open();
  const native = nativeOf(worker) as unknown as Record<string, (...args: unknown[]) => unknown>;
  const called: string[] = [];
  for (const step of STEPS) {
    const original = native[step]!;
    native[step] = (...args) => {
      called.push(step);
      return original.apply(native, args);
    };
  }
  worker.process(async () => 1);
  await scene.add();
  await until("it has ended", () => called.includes("_finishJob"));
  expect(called.slice(0, 4)).toEqual(STEPS);
});

test("an end that says undefined frees the slot and emits nothing", async () => {
  const scene = new Scene(server.url);
  const worker = scene.open();
  nativeOf(worker)._finishJob = async () => undefined;
  const emitted: string[] = [];
  for (const event of ["succeeded", "failed", "error"]) worker.on(event as "error", () => emitted.push(event));
  let starts = 0;
  worker.process(async () => void starts++);
  for (let n = 0; n < 5; n++) await scene.add();
  await until("all were started", () => starts === 5);
  expect(emitted).toEqual([]);
});

test("close() waits for what is in activeJobs, with its connection open", async () => {
  const scene = new Scene(server.url);
  const worker = scene.open();
  await worker.ready();
  const native = nativeOf(worker);
  let asked: unknown;
  native.activeJobs.add(
    new Promise((resolve) => setTimeout(resolve, 50)).then(
      () => new Promise((resolve) => native.client?.send_command("ping", [], (_, pong) => resolve((asked = pong)))),
    ),
  );
  await worker.close();
  expect([asked, native._isClosed, native.paused]).toEqual(["PONG", true, true]);
});

test("the class of its jobs makes one from a row, and writes the same row again", async () => {
  const scene = new Scene(server.url);
  const id = await scene.add({ n: 1 });
  const row = (await scene.redis.hget(scene.keys.jobs, id)) ?? "";
  const job = jobClassOf(nativeOf(scene.queue)).fromData(nativeOf(scene.queue), id, row);
  expect([job.id, job.data, job.status, job.computeDelay(), job.toData()]).toEqual([id, { n: 1 }, "created", -1, row]);
});

test("its scripts are loaded by lib/lua", async () => {
  const scene = new Scene(server.url);
  await scene.queue.ready();
  const lua = createRequire(import.meta.url)("bee-queue/lib/lua") as {
    shas: Record<string, string>;
    buildCache(client: unknown): Promise<unknown>;
  };
  await scene.redis.script("FLUSH");
  await lua.buildCache(nativeOf(scene.queue).client);
  const hashes = Object.values(lua.shas);
  expect(hashes.length).toBeGreaterThan(2);
  expect(await scene.redis.script("EXISTS", ...hashes)).toEqual(hashes.map(() => 1));
});

test("the wait for the next job leaves the list as it is, also with many who wait", async () => {
  const scene = new Scene(server.url);
  const { waiting } = scene.keys;
  const waiters = Array.from({ length: 5 }, () => scene.redis.duplicate());
  const woken = waiters.map((client) => client.blmove(waiting, waiting, "RIGHT", "RIGHT", 10));
  await until("all wait", async () => (await scene.redis.info("clients")).includes("blocked_clients:5"));
  await scene.redis.lpush(waiting, "first", "second");
  expect(await Promise.all(woken)).toEqual(Array.from({ length: 5 }, () => "first"));
  expect(await scene.waiting()).toEqual(["second", "first"]);
  for (const client of waiters) client.disconnect();
});
