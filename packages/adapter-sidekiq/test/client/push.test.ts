/* What a push leaves in Redis is what Ruby's own client would have left there. */
import { AssuranceError } from "@assured-jobs/core";
import { until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { SidekiqClient } from "../../src/client/client.ts";
import type { SidekiqBulkInput } from "../../src/client/types.ts";
import { rubyFloat } from "../../src/wire/ruby-float.ts";
import { Scene } from "./support/scene.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const now = (): number => Date.now() / 1_000;

describe("a pushed job", () => {
  test("waits in its queue, whose name is known, with each field that Sidekiq needs", async () => {
    const scene = new Scene(server.url);
    const before = now();
    const jid = await scene.client.push({ class: "EchoJob", args: [1, "a"] });
    expect(jid).toMatch(/^[0-9a-f]{24}$/);
    expect(await scene.queues()).toEqual(["default"]);
    const [job] = await scene.jobs();
    expect(job).toEqual({
      retry: true,
      queue: "default",
      args: [1, "a"],
      class: "EchoJob",
      jid,
      created_at: expect.any(Number),
      enqueued_at: expect.any(Number),
    });
    for (const time of [job!["created_at"], job!["enqueued_at"]] as number[]) {
      expect(time).toBeGreaterThanOrEqual(before);
      expect(time).toBeLessThanOrEqual(now());
    }
  });

  test("has its fields in the order of Ruby's client, those of the user before its arguments", async () => {
    const scene = new Scene(server.url);
    await scene.client.push({ tags: ["x"], class: "EchoJob", args: [], queue: "mails", retry: 3, bid: "b1" });
    const [text] = await scene.queue("mails");
    expect(text!.replaceAll(/\d+\.\d+/g, "T").replace(/"jid":"\w+"/, '"jid":"J"')).toBe(
      '{"retry":3,"queue":"mails","tags":["x"],"bid":"b1","args":[],"class":"EchoJob","jid":"J","created_at":T,"enqueued_at":T}',
    );
  });

  test("runs after those that were pushed before it", async () => {
    const scene = new Scene(server.url);
    for (const nth of [1, 2, 3]) await scene.client.push({ class: "EchoJob", args: [nth] });
    expect((await scene.jobs()).map(({ args }) => args)).toEqual([[1], [2], [3]]);
  });

  test("keeps what JavaScript's own JSON would lose: long integers and whole floats", async () => {
    const scene = new Scene(server.url);
    await scene.client.push({
      class: "EchoJob",
      args: [12345678901234567n, rubyFloat(1), { id: -(2n ** 70n) }, 1.5, -0],
    });
    expect((await scene.queue())[0]).toContain('"args":[12345678901234567,1.0,{"id":-1180591620717411303424},1.5,0]');
  });

  test("keeps its jid, its time of creation and fields that this client does not know", async () => {
    const scene = new Scene(server.url);
    const jid = "b".repeat(24);
    const fields = { jid, created_at: 1795458684.5894785, cattr: { user: 7 }, encrypt: true, enqueued_at: 5 };
    expect(await scene.client.push({ class: "EchoJob", args: [], ...fields })).toBe(jid);
    const [text] = await scene.queue();
    expect(text).toContain('"created_at":1795458684.5894785');
    expect(JSON.parse(text!)).toMatchObject({ jid, cattr: { user: 7 }, encrypt: true });
    expect((JSON.parse(text!) as { enqueued_at: number }).enqueued_at).toBeGreaterThan(1e9);
  });

  test("has integer milliseconds for Sidekiq 8, and never integer seconds", async () => {
    const scene = new Scene(server.url, { timestamps: "ms" });
    await scene.client.push({ class: "EchoJob", args: [] });
    await scene.another().push({ class: "EchoJob", args: [], created_at: 1795458684 });
    const [ms, s] = await scene.queue();
    expect(ms).toMatch(/"created_at":\d{13},"enqueued_at":\d{13}}/);
    expect(s).toMatch(/"created_at":1795458684\.0,"enqueued_at":\d{10}\.\d+}/);
  });

  test("that is wrong is refused before anything is sent", async () => {
    const scene = new Scene(server.url);
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ class: "" }, /^class: expected a name/],
      [{ class: " EchoJob" }, /^class: expected a name/],
      [{ class: undefined }, /^class: .*got undefined/],
      [{ args: { a: 1 } }, /^args: expected an array, got an Object/],
      [{ queue: "" }, /^queue: expected a name/],
      [{ queue: "mails " }, /^queue: .*without spaces/],
      [{ retry: "yes" }, /^retry: expected true, false or/],
      [{ retry: -1 }, /^retry: /],
      [{ retry: 1.5 }, /^retry: /],
      [{ retry: null }, /^retry: /],
      [{ jid: 7 }, /^jid: /],
      [{ at: Number.NaN }, /^at: expected a Date or finite seconds, got NaN/],
      [{ at: "tomorrow" }, /^at: /],
      [{ at: new Date(Number.NaN) }, /^at: /],
      [{ at: Date.now() + 60_000 }, /^at: .*not milliseconds/],
      [{ tags: "x" }, /^tags: expected an array/],
      [{ retry_for: "1h" }, /^retry_for: /],
      [{ retry_for: 14 * 24 * 3_600_000 }, /^retry_for: expected seconds, at most 1000000000/],
      [{ dead: 1 }, /^dead: /],
      [{ args: [{ when: new Date() }] }, /^args\[0\]\.when: a Date.*strictArgs/],
      [{ tags: [undefined] }, /^tags\[0\]: undefined/],
    ];
    for (const [fields, message] of wrong) {
      const push = scene.client.push({ class: "EchoJob", args: [], ...fields });
      await expect(push).rejects.toMatchObject({ code: "ERR_OPTION", message: expect.stringMatching(message) });
    }
    await expect(scene.client.push(null as never)).rejects.toThrow(/^job: expected an object/);
    expect(await scene.redis.keys(`${scene.prefix}*`)).toEqual([]);
  });

  test("without strict arguments is what JSON.stringify makes of it, and bigints still have their digits", async () => {
    const scene = new Scene(server.url, { strictArgs: false });
    const args = [undefined, new Date(0), new Map([[1, 2]]), Number.NaN, { a: undefined, b: 2n ** 60n }];
    await scene.client.push({ class: "EchoJob", args, note: undefined, callback: () => 1 });
    const [text] = await scene.queue();
    expect(text).toContain('"args":[null,"1970-01-01T00:00:00.000Z",{},null,{"b":1152921504606846976}]');
    expect(text).not.toMatch(/note|callback/);
  });

  test("without strict arguments, too, is something that Ruby can read", async () => {
    const scene = new Scene(server.url, { strictArgs: false });
    const nested = (levels: number): unknown => (levels === 0 ? "[[" : [nested(levels - 1)]);
    const push = (arg: unknown): Promise<unknown> => scene.client.push({ class: "EchoJob", args: [arg] });
    await push([nested(97), "\\ud800 as text, and a whole \u{1F600}"]);
    await expect(push(nested(99))).rejects.toThrow(/^args: nested too deep/);
    await expect(push({ half: "\uD83D" })).rejects.toThrow(/^args: a text with half a surrogate pair/);
    expect(await scene.queue()).toHaveLength(1);
  });
});

describe("a job for later", () => {
  test("waits in the schedule by its time, without it and without having been enqueued", async () => {
    const scene = new Scene(server.url);
    const at = 1_900_000_000;
    const jid = await scene.client.push({ class: "EchoJob", args: [9], at, enqueued_at: 5 });
    const [entry] = await scene.schedule();
    expect(entry!.score).toBe(String(at));
    expect(JSON.parse(entry!.text)).toEqual({
      retry: true,
      queue: "default",
      args: [9],
      class: "EchoJob",
      jid,
      created_at: expect.any(Number),
    });
    expect(await scene.queue()).toEqual([]);
  });

  const job = { class: "EchoJob", args: [] };
  const ways: Record<string, (client: SidekiqClient) => Promise<unknown>> = {
    "performIn, seconds from now": (client) => client.performIn(3_600.5, job),
    "performAt a Date": (client) => client.performAt(new Date(Date.now() + 3_600_500), job),
    "performAt seconds since 1970": (client) => client.performAt(now() + 3_600.5, job),
    "performAt a number below 1e9, which counts from now as in Ruby": (client) => client.performAt(3_600.5, job),
    "performIn a number from 1e9 on, which is a time as in Ruby": (client) => client.performIn(now() + 3_600.5, job),
    "push with an `at`": (client) => client.push({ ...job, at: 3_600.5 }),
    "pushBulk with an `at`": (client) => client.pushBulk({ class: "EchoJob", args: [[]], at: 3_600.5 }),
  };
  for (const [way, act] of Object.entries(ways))
    test(`can be pushed by ${way}`, async () => {
      const scene = new Scene(server.url);
      const from = now();
      await act(scene.client);
      const score = Number((await scene.schedule())[0]!.score);
      expect(score).toBeGreaterThan(from + 3_600.4);
      expect(score).toBeLessThan(now() + 3_600.6);
    });

  test("whose time is past goes to its queue at once", async () => {
    const scene = new Scene(server.url);
    await scene.client.performIn(0, job);
    await scene.client.performIn(-5, job);
    await scene.client.performAt(new Date("1985-06-01"), job);
    await scene.client.push({ ...job, at: 1_000_000_000 });
    expect(await scene.queue()).toHaveLength(4);
    expect(await scene.schedule()).toEqual([]);
  });

  test("needs a time", async () => {
    const { client } = new Scene(server.url);
    await expect(client.performIn(undefined as never, job)).rejects.toThrow(/^at: expected a Date or finite seconds/);
    await expect(client.performAt(Number.NaN, job)).rejects.toThrow(/^at: /);
  });
});

describe("many jobs at once", () => {
  test("each get a jid, in their order, however many they are", async () => {
    const scene = new Scene(server.url);
    const args = Array.from({ length: 2_345 }, (_, nth) => [nth]);
    const jids = await scene.client.pushBulk({ class: "EchoJob", args, queue: "bulk", retry: 2 });
    const jobs = await scene.jobs("bulk");
    expect(jobs.map((job) => job["args"])).toEqual(args);
    expect(jobs.map((job) => job["jid"])).toEqual(jids);
    expect(new Set(jids).size).toBe(2_345);
    expect(jobs[7]).toMatchObject({ retry: 2, queue: "bulk", class: "EchoJob" });
  });

  test("may have a time each, and those that are due go at once", async () => {
    const scene = new Scene(server.url);
    const at = [1_900_000_000, 1_000_000_000, new Date(1_950_000_000_000)];
    await scene.client.pushBulk({ class: "EchoJob", args: [[0], [1], [2]], at });
    expect((await scene.schedule()).map(({ score }) => score)).toEqual(["1900000000", "1950000000"]);
    expect((await scene.jobs()).map(({ args }) => args)).toEqual([[1]]);
  });

  test("may be none", async () => {
    const scene = new Scene(server.url);
    expect(await scene.client.pushBulk({ class: "EchoJob", args: [] })).toEqual([]);
    expect(await scene.queues()).toEqual([]);
  });

  test("are refused together when one of a slice is wrong, and the message counts those before it", async () => {
    const scene = new Scene(server.url);
    const args: unknown[][] = Array.from({ length: 1_500 }, (_, nth) => [nth]);
    args[1_400] = [new Date()];
    const push = scene.client.pushBulk({ class: "EchoJob", args });
    await expect(push).rejects.toThrow(/^The first 1000 jobs went through; then: args\[0\]: a Date/);
    expect(await scene.queue()).toHaveLength(1_000);
  });

  test("of a wrong shape are refused before the first one is sent", async () => {
    const scene = new Scene(server.url);
    const many = Array.from({ length: 1_200 }, () => [1]);
    const wrong: [Partial<Record<keyof SidekiqBulkInput, unknown>>, RegExp][] = [
      [{ args: [...many, 1] }, /^args\[1200\]: expected the arguments of one job/],
      [{ args: 5 }, /^args: expected an array of arrays/],
      [{ args: [[1], [2]], at: [5] }, /^at: expected one time for all, or 2/],
      [{ args: many, at: many.map((_, nth) => (nth < 1_199 ? 5 : Number.NaN)) }, /^at: expected a Date/],
      [{ args: [[1], [2]], jid: "x" }, /^jid: expected none/],
    ];
    for (const [fields, message] of wrong) {
      const push = scene.client.pushBulk({ class: "EchoJob", args: [], ...fields });
      await expect(push).rejects.toMatchObject({ code: "ERR_OPTION", message: expect.stringMatching(message) });
    }
    expect(await scene.queues()).toEqual([]);
    expect(await scene.client.pushBulk({ class: "EchoJob", args: [[1]], jid: "one" })).toEqual(["one"]);
  });
});

describe("a client", () => {
  test("is refused options that are wrong, by name", () => {
    const wrong: [object, RegExp][] = [
      [{ redis: undefined }, /SidekiqClient: redis: expected a redis:/],
      [{ prefix: 7 }, /SidekiqClient: prefix: expected a text/],
      [{ sidekiq: 9 }, /SidekiqClient: sidekiq: expected 6, 7 or 8, got 9/],
      [{ timestamps: "us" }, /SidekiqClient: timestamps: expected "s" or "ms"/],
      [{ timestamps: "ms", sidekiq: 7 }, /SidekiqClient: timestamps: expected "s": Sidekiq 7 reads no/],
      [{ middleware: [1] }, /SidekiqClient: middleware: expected an array of functions/],
      [{ strictArgs: "yes" }, /SidekiqClient: strictArgs: expected true or false/],
      [{ strict: false }, /SidekiqClient: strict: expected one of redis, /],
    ];
    for (const [options, message] of wrong) {
      const make = (): unknown => new SidekiqClient({ redis: server.url, ...options });
      expect(make).toThrow(AssuranceError);
      expect(make).toThrow(message);
    }
    expect(() => new SidekiqClient(undefined as never)).toThrow(/SidekiqClient: options: expected an object/);
  });

  test("puts its prefix before each key", async () => {
    const scene = new Scene(server.url);
    await scene.client.push({ class: "EchoJob", args: [] });
    await scene.client.performIn(60, { class: "EchoJob", args: [] });
    const keys = await scene.redis.keys(`${scene.prefix}*`);
    expect(keys.map((key) => key.slice(scene.prefix.length)).toSorted()).toEqual([
      "queue:default",
      "queues",
      "schedule",
    ]);
  });

  test("sends what is under way before it closes, and nothing more", async () => {
    const scene = new Scene(server.url);
    const pushed = Promise.all([1, 2, 3].map((nth) => scene.client.push({ class: "EchoJob", args: [nth] })));
    await scene.client.close();
    await pushed;
    expect(await scene.queue()).toHaveLength(3);
    await expect(scene.client.push({ class: "EchoJob", args: [] })).rejects.toMatchObject({ code: "ERR_STATE" });
    await scene.client.close();
  });

  test("asks the running processes for their version: the oldest counts", async () => {
    const scene = new Scene(server.url);
    expect(await scene.client.version()).toBe(7);
    await addProcess(scene, "one", '{"version":"8.0.10"}');
    await addProcess(scene, "gone", undefined);
    expect(await scene.another().version()).toBe(8);
    await addProcess(scene, "two", '{"hostname":"vm","pid":1}');
    expect(await scene.another().version()).toBe(6);
    expect(await scene.another({ sidekiq: 8 }).version()).toBe(8);
  });
});

async function addProcess({ redis, prefix }: Scene, name: string, info: string | undefined): Promise<void> {
  await redis.sadd(`${prefix}processes`, name);
  if (info !== undefined) await redis.hset(`${prefix}${name}`, "info", info);
}

describe("a Redis in trouble", () => {
  test("that does not answer makes the push reject, and nothing arrives later", async () => {
    const own = await startRedis({ own: true });
    onTestFinished(() => own.stop());
    const client = new SidekiqClient({ redis: own.url });
    onTestFinished(() => client.close());
    await client.push({ class: "EchoJob", args: [1] });
    await own.kill();
    const push = client.push({ class: "EchoJob", args: [2] });
    await expect(push).rejects.toMatchObject({
      code: "ERR_QUEUE_UNREACHABLE",
      message: expect.stringMatching(/whether the job arrived is not known/),
    });
    await own.restart();
    await client.push({ class: "EchoJob", args: [3] });
    const redis = new Redis(own.url);
    onTestFinished(() => redis.disconnect());
    const texts = await redis.lrange("queue:default", 0, -1);
    expect(texts.map((text) => (JSON.parse(text) as { args: unknown }).args)).toEqual([[3]]);
  });

  test("that became a replica for a moment gets the job once more, as Ruby's client does", async () => {
    const own = await startRedis({ own: true });
    onTestFinished(() => own.stop());
    const [redis, client] = [new Redis(own.url), new SidekiqClient({ redis: own.url })];
    onTestFinished(() => redis.disconnect());
    onTestFinished(() => client.close());
    await client.push({ class: "EchoJob", args: [1] });
    await redis.replicaof("127.0.0.1", "1");
    const push = client.push({ class: "EchoJob", args: [2] });
    const later = client.performIn(60, { class: "EchoJob", args: [3] });
    const refusals = async (): Promise<number> =>
      Number(/errorstat_READONLY:count=(\d+)/.exec(await redis.info("errorstats"))?.[1] ?? 0);
    await until("both were refused", async () => (await refusals()) >= 2);
    await redis.replicaof("NO", "ONE");
    await push;
    await later;
    expect(await redis.llen("queue:default")).toBe(2);
    expect(await redis.zcard("schedule")).toBe(1);
  });
});
