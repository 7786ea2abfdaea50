/* Every private touch goes through the driver that the user gave to BullMQ: here with each of them. */
import { GlideClient } from "@valkey/valkey-glide";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import * as six from "bullmq";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { bullmqAdapter } from "../src/index.ts";
import { Scene, versions } from "./support/bull.ts";
import { dead, fleet } from "./support/dead.ts";
import { gate, RecordingHost, until } from "@assured-jobs/core/testing";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const [current, five] = versions as [(typeof versions)[0], (typeof versions)[0]];

const drivers = [
  { label: "bullmq 6 with options", bull: current, connect: async () => ({ host: "127.0.0.1", port: server.port }) },
  { label: "bullmq 6 with an ioredis instance", bull: current, connect: ioredis },
  { label: "bullmq 6 with node-redis", bull: current, connect: nodeRedis },
  { label: "bullmq 6 with valkey-glide", bull: current, connect: glide },
  { label: "bullmq 5 with a URL", bull: five, connect: async () => ({ url: server.url }) },
];

async function ioredis(): Promise<Redis> {
  const redis = new Redis(server.url, { maxRetriesPerRequest: null });
  onTestFinished(() => redis.disconnect());
  return redis;
}

async function nodeRedis(): Promise<unknown> {
  const client = createClient({ url: server.url });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.destroy());
  return client;
}

async function glide(): Promise<unknown> {
  const raw = await GlideClient.createClient({ addresses: [{ host: "127.0.0.1", port: server.port }] });
  onTestFinished(() => raw.close());
  return six.createValkeyGlideClient(raw);
}

describe.each(drivers)("$label", ({ bull, connect }) => {
  test("finds, requeues, buries, releases, relocks, audits, and tracks a worker", async () => {
    const scene = new Scene(bull, server.url);
    const connection = (await connect()) as { host: string };
    const queue = new bull.Queue(scene.queue.name, { connection });
    queue.on("error", () => {});
    onTestFinished(() => queue.close());
    const adapter = bullmqAdapter({ queues: [queue] });

    const [first, second, third] = await scene.hold("ghost", [{}, { opts: { priority: 2 } }, {}]);
    await adapter.upkeep!(scene.key, fleet({ mute: ["ghost"] }));
    await scene.lapse(third!);
    await adapter.upkeep!(scene.key, fleet({ mute: ["ghost"] }));
    expect(await scene.lockOf(third!)).toMatch(/^ghost:/);
    await scene.lapse(third!);

    const orphans = await adapter.heldBy(scene.key, [dead("ghost")]);
    expect(orphans.map(({ id, run }) => [id, run])).toEqual([third, second, first].map((id) => [id, 1]));
    const [lapsed, prioritized, plain] = orphans;
    expect(await adapter.requeue(lapsed!, { delay: 0 })).toBe("requeued");
    expect(await adapter.requeue(lapsed!, { delay: 0 })).toBe("already");
    expect(await adapter.requeue(prioritized!, { delay: 60_000 })).toBe("requeued");
    expect(await adapter.bury(plain!, "too often")).toBe("buried");
    expect(await adapter.bury(plain!, "too often")).toBe("already");
    await adapter.promote(scene.key, second!);
    await adapter.release(scene.key, first!);
    await expect(adapter.release(scene.key, first!)).rejects.toMatchObject({ code: "ERR_ACTION_REFUSED" });
    await scene.redis.lpush(scene.at("active"), "phantom");
    expect(await adapter.audit(scene.key, { repair: true, fleet: fleet() })).toMatchObject([
      { kind: "bullmq.phantom", repaired: true },
    ]);

    const { opened, open } = gate();
    const worker = new bull.Worker(scene.queue.name, () => opened, {
      connection: (await connect()) as never,
      drainDelay: 1,
    });
    worker.on("error", () => {});
    onTestFinished(() => worker.close(true));
    const host = new RecordingHost();
    await adapter.attach(host);
    await adapter.add(worker);
    await until("a run is reported", () => host.runs.length === 1);
    await scene.lapse(host.runs[0]!.run.id);
    open();
    await until("all ran", async () => (await scene.queue.getCompletedCount()) === 3);
    expect(host.lostRuns).toEqual([]);
    await adapter.detach();
    await worker.close();
  });
});

test("a Redis that does not answer is reported within its deadline, and the answer that comes later harms nobody", async () => {
  const own = await startRedis({ own: true });
  const scene = new Scene(current, own.url);
  const adapter = scene.adapter();
  await scene.hold("ghost");
  const [orphan] = await adapter.heldBy(scene.key, [dead("ghost")]);
  await own.pause();
  const before = performance.now();
  await expect(adapter.requeue(orphan!, { delay: 0 })).rejects.toMatchObject({ code: "ERR_QUEUE_UNREACHABLE" });
  expect(performance.now() - before).toBeLessThan(6_000);
  await own.resume();
  await until("the late move was made", async () => (await adapter.state(scene.key, orphan!.id)) === "waiting");
  expect(await adapter.requeue(orphan!, { delay: 0 })).toBe("already");
  await scene.queue.close();
  scene.redis.disconnect();
  await own.stop();
});
