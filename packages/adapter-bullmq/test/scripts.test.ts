/* What was seen is compared again by the script that acts: between the two, anything can happen. */
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { NativeMember } from "../src/native.ts";
import { stall } from "../src/scripts/stall.ts";
import { wake } from "../src/scripts/wake.ts";
import { ServedQueue } from "../src/served-queue.ts";
import { removePhantom } from "../src/upkeep.ts";
import type { Script } from "../src/redis.ts";
import { Scene, versions } from "./support/bull.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

function serve(scene: Scene): ServedQueue {
  const served = new ServedQueue(scene.queue.qualifiedName);
  served.join(scene.queue as unknown as NativeMember);
  return served;
}

describe.each(versions)("on $label", (bull) => {
  const stalled = (served: ServedQueue, id: string, run: number) =>
    served.run(stall, [
      served.keys.job(id),
      served.keys.lock(id),
      served.keys.active,
      served.keys.repeat,
      served.keys.events,
      id,
      run,
      "assured-jobs-adoption:x",
      5_000,
      1,
    ]);

  test("a job that came back is no phantom any more: it stays on the active list", async () => {
    const scene = new Scene(bull, server.url);
    const [id] = await scene.hold("alive");
    expect(await removePhantom(serve(scene), id!)).toBe(false);
    expect(await scene.lockOf(id!)).toBe("alive:0");
    expect(await scene.queue.getActiveCount()).toBe(1);
  });

  test("no stall is counted for a job that has a lock, runs anew, or is not active", async () => {
    const scene = new Scene(bull, server.url);
    const served = serve(scene);
    const [id] = await scene.hold("alive");
    expect(await stalled(served, id!, 1)).toBe(0);
    await scene.lapse(id!);
    expect(await stalled(served, id!, 2)).toBe(0);
    await scene.redis.lrem(scene.at("active"), 0, id!);
    expect(await stalled(served, id!, 1)).toBe(0);
    expect(await scene.redis.hget(scene.at(id!), "stc")).toBeNull();
    await scene.redis.lpush(scene.at("active"), id!);
    expect(await stalled(served, id!, 1)).toBe(1);
    expect(await stalled(served, id!, 1)).toBe(0); // of two who see the same, one acts
  });

  test("a scheduler's iteration may stall as often as it likes, as BullMQ has it", async () => {
    const scene = new Scene(bull, server.url);
    const served = serve(scene);
    await scene.queue.upsertJobScheduler("hourly", { every: 3_600_000 }, { name: "tick" });
    const [id] = await scene.fetch("alive");
    await scene.redis.hset(scene.at(id!), "stc", 7);
    await scene.lapse(id!);
    expect(await stalled(served, id!, 1)).toBe(1);
    expect(await scene.redis.hget(scene.at(id!), "defa")).toBeNull();
  });

  test("nobody is woken in a paused queue, or for a job that does not wait", async () => {
    const scene = new Scene(bull, server.url);
    const served = serve(scene);
    const woken = (id: string) => served.run(wake, [served.keys.prioritized, served.keys.marker, served.keys.meta, id]);
    const job = await scene.queue.add("work", {}, { priority: 1 });
    expect(await woken("nobody")).toBe(0);
    expect(await woken(job.id!)).toBe(1);
    await scene.queue.pause();
    expect(await woken(job.id!)).toBe(0);
  });
});

test("every script says its keys, names no key of its own, and fits the number of keys that it declares", async () => {
  const folder = new URL("../src/scripts/", import.meta.url);
  for (const file of readdirSync(folder)) {
    const exported = (await import(new URL(file, folder).href)) as Record<string, Script>;
    const script = exported[file.replace(".ts", "")]!;
    const used = [...script.lua.matchAll(/KEYS\[(\d+)\]/g)].map(([, n]) => Number(n));
    expect(Math.max(...used), file).toBe(script.keys);
    expect(script.lua, file).not.toMatch(/redis\.call\('[A-Z]+', '/); // a key that nobody passed in
  }
});
