import { until } from "@assured-jobs/core/testing";
import { enlist } from "@assured-jobs/dev-crew";
import type { Member, Told } from "@assured-jobs/dev-crew";
import { startRedis } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { ListQueue } from "../src/queue.mjs";

test("a job of the small queue, too, runs again when its process is killed", { timeout: 60_000 }, async () => {
  const server = await startRedis({ own: true });
  onTestFinished(() => server.stop());
  const redis = new Redis(server.url);
  onTestFinished(() => redis.disconnect());
  const log: Told[] = [];
  const program = new URL("./worker.mjs", import.meta.url);
  const start = (name: string): Member =>
    enlist(program, { name, env: { REDIS_URL: server.url, NAME: name } }, { log, cleanup: onTestFinished });
  const crew = [start("one"), start("two")];
  for (const member of crew) await member.heard("ready", undefined, 30_000);
  const queue = new ListQueue(redis, "demo");
  const id = await queue.add({});
  const victim = await until("it runs", () => crew.find((member) => member.all("started", id).length > 0));
  await victim.kill();
  await until("it has finished elsewhere", async () => (await queue.states())[id] === "finished");
  expect(log.filter((told) => told.type === "started").map(({ process }) => process === victim)).toEqual([true, false]);
});
