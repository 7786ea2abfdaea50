/* What is wrong is said where it is given, before anything is touched. */
import { AssuranceError } from "@assured-jobs/core";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import BeeQueue from "bee-queue";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { beeAdapter } from "../src/index.ts";
import type { BeeAdapterOptions } from "../src/index.ts";
import { nativeOf, Scene } from "./support/bee.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

/** The client that Bee is made for: its own copy of redis 3. */
const redis3 = createRequire(createRequire(import.meta.url).resolve("bee-queue"))("redis") as {
  createClient(options: object | string): { quit(done: () => void): void; prefix?: string };
};

function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    if (error instanceof AssuranceError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "taken";
}

describe("what is refused", () => {
  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ["queues that are no list", { queues: {} }, /^ERR_OPTION: beeAdapter: queues must be a list/],
    ["what is no queue", { queues: [{ name: "x" }] }, /^ERR_OPTION: .*got Object\. Pass the Queue itself/],
    ["nothing instead of a queue", { queues: [undefined] }, /^ERR_OPTION: .*got undefined/],
    ["a track of the wrong form", { track: { only: "mails" } }, /^ERR_OPTION: .*a list of queue names/],
    ["an unknown rule for the unclaimed", { unclaimed: "maybe" }, /^ERR_OPTION: .*"stalled" or "sweep", got "maybe"/],
  ];
  for (const [what, options, expected] of wrong)
    test(what, () => expect(refusal(() => beeAdapter(options as BeeAdapterOptions))).toMatch(expected));

  test("the same queue object twice, in one adapter or in two", async () => {
    const scene = new Scene(server.url);
    await scene.queue.ready();
    expect(refusal(() => beeAdapter({ queues: [scene.queue, scene.queue] }))).toMatch(/ERR_OPTION: .*given twice/);
    scene.adapter();
    expect(refusal(() => beeAdapter({ queues: [scene.queue] }))).toMatch(/ERR_OPTION: .*another adapter/);
  });

  const clients = {
    "an ioredis client": () => new Redis({ port: server.port, lazyConnect: true }),
    "a client of redis 4 or newer": () => createClient({ url: server.url }),
  };
  for (const [what, make] of Object.entries(clients))
    test(`${what}, which Bee would take for options and go to localhost`, () => {
      const queue = new BeeQueue("foreign", { redis: make() as never, autoConnect: false, isWorker: false });
      expect(refusal(() => beeAdapter({ queues: [queue] }))).toMatch(
        /^ERR_OPTION: .*"foreign" was given a Redis client that Bee-Queue does not know.*redis 3/,
      );
    });
});

describe("how a Redis is given", () => {
  const { port } = { port: () => server.port };
  const ways: Record<string, () => unknown> = {
    "a URL": () => server.url,
    options: () => ({ host: "127.0.0.1", port: port() }),
    "options with a URL": () => ({ url: server.url }),
    "a client of redis 3": () => {
      const client = redis3.createClient({ port: port() });
      onTestFinished(() => new Promise<void>((resolve) => client.quit(resolve)));
      return client;
    },
  };
  for (const [way, make] of Object.entries(ways))
    test(`${way}: Bee works with it, and the store finds the same server`, async () => {
      const queue = new BeeQueue(`way-${way.length}`, { redis: make() as never, getEvents: false });
      queue.on("error", () => {});
      onTestFinished(() => queue.close(1).catch(() => {}));
      await queue.ready();
      const adapter = beeAdapter({ queues: [queue] });
      onTestFinished(() => adapter.detach());
      const found = adapter.connection?.();
      if (found?.kind !== "standalone") throw new Error("no connection");
      const { url, options } = found;
      const redis = url === undefined ? new Redis(options) : new Redis(url, options);
      onTestFinished(() => redis.disconnect());
      expect(await redis.info("server")).toContain(`tcp_port:${server.port}`);
    });

  test("a key prefix of the client is part of each key, and of no channel", async () => {
    const scene = new Scene(server.url);
    const { RecordingHost, until } = await import("@assured-jobs/core/testing");
    const redis = { port: server.port, prefix: "app:" } as never;
    const worker = scene.open({ redis });
    const producer = scene.open({ redis, isWorker: false, getEvents: true });
    const heard: string[] = [];
    producer.on("job succeeded", (id) => heard.push(id));
    const host = new RecordingHost();
    await scene.adapter({ queues: [worker] }).attach(host);
    worker.process(async () => 1);
    await producer.ready();
    const { id } = await producer.createJob({}).save();
    await until("its end is heard", () => heard[0] === id);
    const keys = await scene.redis.keys(`*${scene.name}*`);
    expect(keys.filter((key) => !key.startsWith("app:bq:"))).toEqual([]);
  });
});

describe("which queues are served", () => {
  test("those that are tracked, by their names", () => {
    const [one, two] = [new Scene(server.url), new Scene(server.url)];
    const queues = [one.queue, two.queue];
    expect(one.adapter({ queues, track: { only: [one.name] } }).queues).toEqual([one.key]);
    expect(two.adapter({ queues, track: { except: [one.name] } }).queues).toEqual([two.key]);
  });

  test("queues come and go at run time", async () => {
    const scene = new Scene(server.url);
    const { RecordingHost, until } = await import("@assured-jobs/core/testing");
    const host = new RecordingHost();
    const adapter = scene.adapter({ queues: [] });
    await adapter.attach(host);
    const worker = scene.open();
    await adapter.add(worker);
    expect([adapter.queues, adapter.holders(scene.key).length, host.changes]).toEqual([[scene.key], 1, 1]);
    worker.process(async () => 1);
    await scene.add();
    await until("it ran", () => host.runs[0]?.ended);
    await adapter.remove(worker);
    expect(adapter.queues).toEqual([]);
    await adapter.add(worker);
    await scene.add();
    await until("it ran again", () => host.runs[1]?.ended);
    await adapter.add(scene.queue);
    await adapter.remove(worker);
    expect([adapter.queues, adapter.holders(scene.key)]).toEqual([[scene.key], []]);
    await expect(adapter.add(scene.queue)).rejects.toThrow("given twice");
  });

  test("a queue that is not served is named in the error", async () => {
    const scene = new Scene(server.url);
    await expect((async () => scene.adapter().state("bee:bq:other", "1"))()).rejects.toMatchObject({
      code: "ERR_QUEUE_UNREACHABLE",
    });
    expect(nativeOf(scene.queue).settings.isWorker).toBe(false);
  });
});
