/* What is wrong is said where it is given, before anything is touched: option, expectation, and what was given. */
import { AssuranceError } from "@assured-jobs/core";
import { RecordingHost, until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Cluster, Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { sidekiqAdapter, SidekiqWorker } from "../src/index.ts";
import type { RedisOption, SidekiqWorkerOptions } from "../src/index.ts";
import { Scene } from "./support/scene.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const REDIS = "redis://127.0.0.1:1";

function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    if (error instanceof AssuranceError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "taken";
}

const cluster = (): Cluster => {
  const client = new Cluster([{ port: 1 }], { lazyConnect: true });
  onTestFinished(() => client.disconnect());
  return client;
};

describe("a worker refuses", () => {
  const wrong: readonly (readonly [string, object | (() => object), RegExp])[] = [
    ["no Redis", { redis: undefined }, /SidekiqWorker: redis: expected a redis:\/\/ URL/],
    ["a Cluster", () => ({ redis: cluster() }), /redis: expected one server, or Sentinels .*got "a Cluster"/],
    [
      "options that name no server",
      { redis: { connectionName: "x" } },
      /redis: expected .*options of ioredis that name a server/,
    ],
    [
      "a prefix of ioredis, which scripts do not see",
      { redis: { port: 1, keyPrefix: "x:" } },
      /redis: expected no keyPrefix/,
    ],
    ["a name that means nothing", { concurency: 5 }, /concurency: expected one of .*concurrency.*got "concurency"/],
    ["a concurrency of 0", { concurrency: 0 }, /concurrency: expected a whole number, at least 1, got 0/],
    ["half a slot", { concurrency: 1.5 }, /concurrency: expected a whole number, at least 1, got 1\.5/],
    ["a number that is text", { concurrency: "5" }, /concurrency: .*got "5"/],
    ["no queues", { queues: [] }, /queues: expected names of queues, at least one/],
    ["a queue without a name", { queues: [""] }, /queues: expected names of queues/],
    ["a name with spaces", { queues: ["a b"] }, /queues: expected names of queues.*without spaces/],
    ["a weight of 0", { queues: { a: 0 } }, /queues: expected weights from 1 to 1000/],
    ["half a weight", { queues: { a: 1.5 } }, /queues: expected weights/],
    ["sets and queues", { sets: [{ queues: ["a"], concurrency: 1 }], queues: ["b"] }, /sets: expected sets, or queues/],
    ["no sets", { sets: [] }, /sets: expected at least one set/],
    ["a set without slots", { sets: [{ queues: ["a"] }] }, /sets\[0\]\.concurrency: expected a whole number/],
    ["a set without queues", { sets: [{ queues: [], concurrency: 1 }] }, /sets\[0\]\.queues: expected names/],
    [
      "a handler that is none",
      { handlers: { Mail: "send" } },
      /handlers\.Mail: expected a function, or an object with perform/,
    ],
    [
      "a class without perform",
      { handlers: { Mail: {} } },
      /handlers\.Mail: expected a function, or an object with perform/,
    ],
    [
      "an option of a class that means nothing",
      { handlers: { Mail: { perform() {}, retries: 0 } } },
      /handlers\.Mail\.retries: expected one of perform, retry/,
    ],
    [
      "retries that are no number",
      { handlers: { Mail: { perform() {}, retry: "never" } } },
      /handlers\.Mail\.retry: expected true, false or a whole/,
    ],
    ["middleware that is no list", { middleware: {} }, /middleware: expected an array of functions/],
    ["an unknown Sidekiq", { sidekiq: 5 }, /sidekiq: expected 6, 7 or 8, got 5/],
    ["ms where Sidekiq 7 reads them", { sidekiq: 7, timestamps: "ms" }, /timestamps: expected "s": Sidekiq 7 reads no/],
    ["another unit", { timestamps: "us" }, /timestamps: expected "s" or "ms", got "us"/],
    ["a poll that is no flag", { poll: 5 }, /poll: expected true or false, got 5/],
    [
      "a stop that waits for less than nothing",
      { stopTimeout: -1 },
      /stopTimeout: expected a whole number, at least 0/,
    ],
    ["a dead set for nobody", { deadSet: { max: 0 } }, /deadSet\.max: expected a whole number, at least 1/],
    ["a misspelled dead set", { deadSet: { maximum: 1 } }, /deadSet\.maximum: expected one of max, timeout/],
    ["a prefix that is no text", { prefix: 7 }, /prefix: expected a text such as shop:/],
  ];
  test.each(wrong)("%s", (_, options, expected) => {
    const given = { redis: REDIS, ...(typeof options === "function" ? options() : options) } as SidekiqWorkerOptions;
    const said = refusal(() => new SidekiqWorker(given));
    expect(said).toMatch(/^ERR_OPTION: SidekiqWorker: /);
    expect(said).toMatch(expected);
  });

  test("and says nothing of a secret", () => {
    const redis = { host: "x", password: "hunter2" };
    expect(refusal(() => new SidekiqWorker({ redis, queues: redis as never }))).not.toContain("hunter2");
    expect(refusal(() => new SidekiqWorker({ redis: "hunter2 is no URL" }))).not.toBe("taken");
  });

  test("a stop that waits for no time, or for less", async () => {
    const worker = new Scene(server.url).worker();
    for (const timeout of [-1, Number.NaN, "5" as never])
      await expect(worker.stop({ timeout })).rejects.toThrow(/SidekiqWorker\.stop: timeout: expected milliseconds/);
  });

  test("start() after stop()", async () => {
    const worker = new Scene(server.url).worker();
    await worker.stop();
    await expect(worker.start()).rejects.toMatchObject({ code: "ERR_STATE" });
  });
});

describe("an adapter refuses", () => {
  const wrong: readonly (readonly [string, object, RegExp])[] = [
    ["no Redis", { redis: undefined }, /sidekiqAdapter: redis: expected a redis:\/\/ URL/],
    ["what is no worker", { worker: {} }, /expected a SidekiqWorker of this package/],
    ["workers that are no list", { workers: {} }, /workers: expected a list/],
    ["queues that are no list", { queues: "default" }, /queues: expected a list/],
    [
      "a place that is none",
      { recoverTo: "middle" },
      /recoverTo: expected "front", "back" or \{ queue: "name" \}, got "middle"/,
    ],
    ["a queue without a name", { recoverTo: { queue: "" } }, /recoverTo: expected/],
    ["a name that means nothing", { recover: "front" }, /recover: expected one of .*recoverTo/],
    ["another unit", { timestamps: "us" }, /timestamps: expected "s" or "ms"/],
    ["an unknown kind of Ruby", { ruby: { pro: true } }, /ruby\.pro: expected one of gem, bare/],
  ];
  test.each(wrong)("%s", (_, options, expected) =>
    expect(refusal(() => sidekiqAdapter({ redis: REDIS, ...options }))).toMatch(expected),
  );

  test("a Cluster", () =>
    expect(refusal(() => sidekiqAdapter({ redis: cluster() as never }))).toMatch(/Sidekiq cannot run on a Cluster/));

  test("a worker that belongs to another one, until that has let it go", async () => {
    const scene = new Scene(server.url);
    const worker = scene.worker();
    const first = scene.adapter({ worker });
    expect(refusal(() => scene.adapter({ worker }))).toMatch(/ERR_OPTION: .*already belongs to another adapter/);
    await first.attach(new RecordingHost());
    await first.detach();
    expect(refusal(() => scene.adapter({ worker }))).toBe("taken");
  });

  test("a worker with another prefix", () => {
    const worker = new Scene(server.url).worker({ prefix: "shop:" });
    expect(refusal(() => sidekiqAdapter({ redis: REDIS, worker, prefix: "other:" }))).toMatch(
      /ERR_OPTION: .*prefix is "other:", but the worker has "shop:"/,
    );
  });

  test("verbs for a queue that it does not serve", async () => {
    const adapter = new Scene(server.url).adapter();
    await expect(async () => adapter.state("sidekiq:elsewhere", "x")).rejects.toMatchObject({
      code: "ERR_QUEUE_UNREACHABLE",
      message: expect.stringContaining("sidekiq:elsewhere"),
    });
  });
});

describe("how a Redis is given", () => {
  const ways: Readonly<Record<string, () => RedisOption>> = {
    "a URL": () => server.url,
    "a URL with a database": () => `${server.url}/3`,
    options: () => ({ host: "127.0.0.1", port: server.port }),
    "options with a name for the connection": () => ({ port: server.port, connectionName: "mine" }),
    "a client of ioredis, which is left alone": () => {
      const client = new Redis(server.url, { lazyConnect: true });
      onTestFinished(() => client.disconnect());
      return client;
    },
  };
  test.each(Object.entries(ways))("%s", async (_, make) => {
    const redis = make();
    const ran: string[] = [];
    const worker = new SidekiqWorker({ redis, queues: ["q"], handlers: { Job: ({ jid }) => void ran.push(jid) } });
    worker.on("error", () => {}).on("warning", () => {});
    onTestFinished(() => worker.stop({ timeout: 0 }));
    await worker.start();
    const client = new Redis(server.url, { db: typeof redis === "string" && redis.endsWith("/3") ? 3 : 0 });
    onTestFinished(() => client.disconnect());
    await client.lpush("queue:q", '{"class":"Job","args":[],"jid":"j","queue":"q"}');
    await until("it ran", () => ran.length === 1);
    if (redis instanceof Redis) expect(redis.status).toBe("wait");
  });

  test("an adapter takes the prefix of its worker, and one without takes none", () => {
    const worker = new Scene(server.url).worker({ prefix: "shop:", queues: ["a", "b"] });
    expect(sidekiqAdapter({ redis: REDIS, worker, queues: ["c"] }).queues.toSorted()).toEqual([
      "sidekiq:shop:a",
      "sidekiq:shop:b",
      "sidekiq:shop:c",
    ]);
    expect(sidekiqAdapter({ redis: REDIS, queues: ["c"] }).queues).toEqual(["sidekiq:c"]);
  });
});
