/* Against Ruby itself: what it wrote goes through our hands byte for byte, and what we write it reads as what was meant. */
import fc from "fast-check";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { SidekiqClient } from "../../src/client/client.ts";
import { parseExact, parseWithFloats } from "../../src/wire/exact.ts";
import { toJson } from "../../src/wire/json.ts";
import { Payload } from "../../src/wire/payload.ts";
import { RubyFloat, rubyFloat } from "../../src/wire/ruby-float.ts";
import { timestamp } from "../../src/wire/timestamps.ts";
import { forEachRuby } from "./support/ruby.ts";
import type { RubyScene } from "./support/ruby.ts";

/** What a Ruby program can have in a job, as the text from which Ruby makes its own. */
const float = fc.double({ noNaN: true, noDefaultInfinity: true }).map(rubyFloat);
const rubyValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.oneof(fc.bigInt(), fc.integer(), float, fc.string({ unit: "grapheme" }), fc.constantFrom(null, true, false)),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: "grapheme" }), tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;
const SAMPLES = 500;

/** Many values, in one call to Ruby. */
const samples = <T>(arbitrary: fc.Arbitrary<T>): T[] => fc.sample(arbitrary, SAMPLES);
const textOf = (value: unknown): string => toJson(value, "value")!;

await forEachRuby((scene) => {
  describe("what Ruby wrote", () => {
    const written = (values: readonly unknown[]): Promise<readonly string[]> =>
      scene().ruby.call(
        "json_roundtrip",
        values.map((value) => textOf(value)),
      );

    test("survives a hop byte for byte: only what was to change has changed", async () => {
      const values = samples(rubyValue);
      const texts = await written(values.map((args) => ({ retry: true, args, enqueued_at: rubyFloat(1), jid: "x" })));
      for (const text of texts) {
        const [before, behind] = text.split('"enqueued_at":1.0');
        const payload = Payload.parse(text)!;
        expect(payload.with({})).toBe(text);
        const hop = payload.with({ enqueued_at: "2.5", retry_count: "0" });
        expect(hop).toBe(`${before}"enqueued_at":2.5${behind!.slice(0, -1)},"retry_count":0}`);
        const back = Payload.parse(hop)!.with({ enqueued_at: "1.0", retry_count: undefined });
        expect(back).toBe(text);
      }
      const again = await scene().ruby.call("json_roundtrip", texts);
      expect(again).toEqual(texts);
    });

    test("is read with every integer exact and every float close to the last bit", async () => {
      const values = samples(rubyValue);
      const texts = await written(values);
      texts.forEach((text, nth) => expect(parseWithFloats(text)).toEqual(asRead(values[nth])));
    });

    test("is written again as the same value: integers stay integers, floats stay floats", async () => {
      const texts = await written(samples(rubyValue));
      expect(await written(texts.map((text) => parseWithFloats(text)))).toEqual(texts.map(inOrderOfJavaScript));
    });
  });

  describe("what our client writes", () => {
    test("is read by Ruby as what was given", async () => {
      const { ruby } = scene();
      const client = clientOf(scene());
      const values = samples(rubyValue);
      const jids = await client.pushBulk({ class: "EchoJob", args: values.map((value) => [value]), queue: "values" });
      const read = (await ruby.call("queue_jobs", "values")).toReversed(); // Ruby lists the newest first
      expect(read.map(({ jid }) => jid)).toEqual(jids);
      const args = read.map(({ value }) => Payload.parse(value)!.raw("args")!);
      const kinds = await ruby.call("json_roundtrip", args);
      kinds.forEach((text, nth) => expect(parseWithFloats(text)).toEqual([asRead(values[nth])]));
    });

    test("has the fields and the times that Sidekiq's own API shows", async () => {
      const { ruby } = scene();
      const client = clientOf(scene());
      const fields = { queue: "times", retry: 5, tags: ["a"], created_at: 1795458684.25 };
      const jid = await client.push({ class: "EchoJob", args: [1], ...fields });
      const before = Date.now() / 1_000;
      const [job] = await ruby.call("queue_jobs", "times");
      expect(job).toMatchObject({ jid, class: "EchoJob", queue: "times", args: [1] });
      expect(job!.created_at).toBeCloseTo(1795458684.25, 3);
      expect(Math.abs(job!.enqueued_at! - before)).toBeLessThan(5);
      const queues = await ruby.call("queues");
      expect(queues.find(({ name }) => name === "times")!.latency).toBeLessThan(5);
    });

    test("for later is moved by Ruby's poller when it is due, with all its digits", async () => {
      const { ruby, url } = scene();
      const jid = await clientOf(scene()).performIn(3_600, { class: "EchoJob", args: [2n ** 70n], queue: "later" });
      const [entry] = await ruby.call("schedule_set");
      expect(entry).toMatchObject({ jid, queue: "later" });
      expect(entry!.at).toBeGreaterThan(Date.now() / 1_000 + 3_500);
      const redis = new Redis(url);
      onTestFinished(() => redis.disconnect());
      await redis.zadd("schedule", 1, entry!.value);
      await ruby.call("poll_once");
      const [job] = await ruby.call("queue_jobs", "later");
      expect(job).toMatchObject({ jid });
      expect(Payload.parse(job!.value)!.exact("args")).toEqual([2n ** 70n]);
    });

    test("is refused as too deep exactly where Ruby cannot read it", async () => {
      const { ruby, url } = scene();
      const client = clientOf(scene());
      const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
      await client.push({ class: "EchoJob", args: [nested(98)], queue: "deep" });
      expect(await ruby.call("evaluate", 'Sidekiq::Queue.new("deep").map { |job| job.args.to_s.count("[") }')).toEqual([
        99,
      ]);
      await expect(client.push({ class: "EchoJob", args: [nested(99)] })).rejects.toThrow(/nested too deep/);
      const redis = new Redis(url);
      onTestFinished(() => redis.disconnect());
      await redis.lpush("queue:deeper", `{"class":"EchoJob","args":${JSON.stringify([nested(99)])}}`);
      expect(await ruby.call("evaluate", 'Sidekiq::Queue.new("deeper").map { |job| job.klass.to_s }')).toEqual([""]);
    });
  });

  test("times in seconds are read right by each version", async () => {
    const { ruby } = scene();
    const now = Date.now();
    const [text] = await ruby.call("json_roundtrip", [`[${timestamp(Math.floor(now / 1_000) * 1_000, "s")}]`]);
    expect(text).toBe(`[${Math.floor(now / 1_000)}.0]`);
  });
});

function clientOf({ url }: RubyScene): SidekiqClient {
  const client = new SidekiqClient({ redis: url });
  onTestFinished(() => client.close());
  return client;
}

/* Whole floats are kept as such, others are plain numbers; integers are bigints where a number may not hold them. */
function asRead(value: unknown): unknown {
  if (value instanceof RubyFloat) return Number.isInteger(value.value) ? value : value.value;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(asRead);
  if (typeof value !== "object" || value === null) return value === 0 ? 0 : value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, asRead(one)]));
}

/* Objects of JavaScript have their numeric keys first: the same Hash, in another order. */
function inOrderOfJavaScript(text: string): string {
  const exact = parseExact(text);
  return typeof exact === "object" && /"\d+":/.test(text) ? textOf(parseWithFloats(text)) : text;
}
