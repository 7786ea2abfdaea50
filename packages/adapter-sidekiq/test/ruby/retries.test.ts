/* The same payload fails once in a Ruby worker and once in ours: it ends in the same set with the same text, byte for byte
 * but for times and traces, the same numbers are counted, and the same callbacks hear of it. */
import { until } from "@assured-jobs/core/testing";
import { expect, test } from "vitest";
import type { SidekiqJob, SidekiqJobClass, SidekiqVersion } from "../../src/index.ts";
import { casesOf, comparable, isInTime, jidOf, textOf } from "./retry-cases.ts";
import type { FailureCase } from "./retry-cases.ts";
import { eachRuby, jobText } from "./support.ts";
import type { Scene } from "./support.ts";

class ArgumentError extends Error {
  override name = "ArgumentError";
}

/** jids of those for which the callbacks of their class, and the death handlers, were called. */
interface Heard {
  readonly exhausted: readonly string[];
  readonly deaths: readonly string[];
}

await eachRuby((scene) => {
  test("what fails ends as in Ruby: the same set, the same text, the same counts, the same callbacks", async () => {
    const cases = casesOf(scene().version);
    const byRuby = await ends(scene(), "ruby", { cases, run: failInRuby });
    await scene().redis.flushall();
    const byNode = await ends(scene(), "node", { cases, run: failInNode });
    for (const { name } of cases) expect.soft({ [name]: byNode.ends[name] }).toEqual({ [name]: byRuby.ends[name] });
    expect(byNode.counts).toEqual(byRuby.counts);
    expect(byNode.counts).toMatchObject({ "stat:processed": cases.length + 1, "stat:failed": cases.length });
  });

  test("Ruby reads what Node has left, with its trace, and can retry, kill and delete it", async () => {
    const { ruby } = scene();
    const push = { class: "NodeJob", queue: "node", retry: 3, backtrace: true };
    const [retried, killed, deleted] = await Promise.all(
      [1, 2, 3].map((nth) => ruby.call("push", { ...push, args: [nth] })),
    );
    const attempts: [string, number][] = [];
    const perform = (job: SidekiqJob): void => {
      attempts.push([job.jid, job.attempt]);
      throw new ArgumentError(`boöm ${String(job.args[0])} \u{D800}`);
    };
    await scene().work({ queues: ["node"], handlers: { NodeJob: perform } });
    await until("all failed", async () => (await ruby.call("retry_set")).length === 3);
    const entry = (await ruby.call("retry_set")).find(({ jid }) => jid === retried)!;
    expect(entry).toMatchObject({ class: "NodeJob", queue: "node", args: [1] });
    expect(entry.item).toMatchObject({ error_class: "ArgumentError", error_message: "boöm 1 \uFFFD", retry_count: 0 });
    expect(entry.error_backtrace![0]).toMatch(/^at .*retries\.test\.ts:\d+/);

    expect(await ruby.call("kill_entry", killed!)).toBe(true);
    expect((await ruby.call("dead_set")).map(({ jid }) => jid)).toEqual([killed]);
    expect(await ruby.call("delete_entry", deleted!)).toBe(true);
    expect(await ruby.call("retry_entry", retried!)).toBe(true);
    await until("it failed again", () => attempts.length === 4);
    expect(attempts.at(-1)).toEqual([retried, 0]); // Ruby takes the failure back
    await until("it is back", async () => (await ruby.call("retry_set")).length === 1);
    expect(await ruby.call("retry_entry", killed!, "dead")).toBe(true);
    await until("the dead one ran again", () => attempts.some(([jid], nth) => nth > 3 && jid === killed));
  });

  test("a message of 10,000 characters is kept, and no more, as in Ruby", async () => {
    const { ruby } = scene();
    const long = "🚲".repeat(10_050);
    await ruby.call("push", { class: "FailJob", args: [long, "ArgumentError"], queue: "ruby" });
    await ruby.call("push", { class: "FailJob", args: [long, "ArgumentError"], queue: "node" });
    await scene().hire({ queues: ["ruby"] });
    await scene().work({ queues: ["node"], handlers: classes([]) });
    const entries = await until("both failed", async () => {
      const found = await ruby.call("retry_set");
      return found.length === 2 && found;
    });
    for (const { item } of entries) expect(item["error_message"] === "🚲".repeat(10_000)).toBe(true);
  });

  test("the dead set keeps as many as Ruby keeps, the newest ones", async () => {
    const { redis, ruby } = scene();
    const now = Math.floor(Date.now() / 1_000);
    const full = Array.from({ length: 10_000 }, (_, nth) => [String(now - 20_000 + nth), `{"jid":"${nth}"}`]).flat();
    const old = [String(now - 181 * 24 * 3_600), '{"jid":"old"}'];
    const left: string[][] = [];
    for (const side of ["ruby", "node"]) {
      await redis.del("dead");
      await redis.zadd("dead", ...full, ...old);
      await ruby.call("push", { class: "FailNowJob", args: [], queue: side, jid: "last", retry: 0 });
      await (side === "ruby"
        ? scene().hire({ queues: [side] })
        : scene().work({ queues: [side], handlers: classes([]) }));
      await until("it is dead", async () => (await redis.zrange("dead", "-1", "-1"))[0]?.includes('"last"'));
      await until("the old one is gone", async () => !(await redis.zrange("dead", "0", "0"))[0]!.includes('"old"'));
      left.push(await redis.zrange("dead", "0", "-2"));
    }
    expect(left[1]).toEqual(left[0]);
    expect(left[1]).toHaveLength(9_998);
  });
});

interface Ends {
  readonly ends: Readonly<Record<string, unknown>>;
  readonly counts: Readonly<Record<string, number>>;
}

type Run = (scene: Scene, count: number) => Promise<Heard>;

async function ends(
  scene: Scene,
  side: string,
  { cases, run }: { cases: readonly FailureCase[]; run: Run },
): Promise<Ends> {
  const texts = cases.map((one, nth) => textOf(one, side, nth));
  await scene.enqueue(side, ...texts, jobText({ class: "EchoJob", jid: "last", queue: side })); // one at a time: then all is over
  const heard = await run(scene, cases.length + 1);
  const setOf = async (set: string): Promise<{ set: string; text: string; score: string }[]> =>
    (await scene.entries(set)).map((entry) => ({ ...entry, set }));
  const entries = [...(await setOf("retry")), ...(await setOf("dead"))];
  const endOf = (jid: string): unknown => {
    const entry = entries.find(({ text }) => text.includes(`"${jid}"`));
    return {
      set: entry?.set,
      text: entry && comparable(entry.text, side),
      isInTime: entry?.set === "retry" ? isInTime(entry.text, Number(entry.score)) : undefined,
      exhausted: heard.exhausted.filter((one) => one === jid).length,
      deaths: heard.deaths.filter((one) => one === jid).length,
    };
  };
  return {
    ends: Object.fromEntries(cases.map(({ name }, nth) => [name, endOf(jidOf(side, nth))])),
    counts: await countsOf(scene),
  };
}

async function countsOf({ redis }: Scene): Promise<Record<string, number>> {
  const keys = (await redis.keys("stat:*")).toSorted();
  return Object.fromEntries(await Promise.all(keys.map(async (key) => [key, Number(await redis.get(key))])));
}

async function failInRuby(scene: Scene, count: number): Promise<Heard> {
  const worker = await scene.hire({ queues: ["ruby"], concurrency: 1, poll: 60 });
  await ended(scene, count);
  await worker.kill();
  const jids = async (list: string): Promise<string[]> =>
    (await scene.told(list)).map((one) => (one["job"] as { jid: string }).jid);
  return { exhausted: await jids("exhausted"), deaths: await jids("deaths") };
}

async function failInNode(scene: Scene, count: number): Promise<Heard> {
  const heard: { exhausted: string[]; deaths: string[] } = { exhausted: [], deaths: [] };
  const worker = await scene.work({
    queues: ["node"],
    concurrency: 1,
    poll: false,
    sidekiq: scene.version as SidekiqVersion,
    timestamps: scene.version === 8 ? "ms" : "s",
    handlers: classes(heard.exhausted),
    deathHandlers: [({ jid }) => void heard.deaths.push(jid)],
  });
  await ended(scene, count);
  await worker.stop();
  return heard;
}

const ended = async ({ redis }: Scene, count: number): Promise<unknown> =>
  until("all is over", async () => Number(await redis.get("stat:processed")) === count);

/* The jobs of dev-ruby, as they are here. */
function classes(exhausted: string[]): Record<string, SidekiqJobClass> {
  const job: SidekiqJobClass = {
    perform: ({ args }) => {
      throw new ArgumentError(String(args[0]));
    },
    retriesExhausted: ({ jid }) => void exhausted.push(jid),
  };
  const wanted = (error: unknown): number => Number.parseInt((error as Error).message, 10) || 0;
  return {
    EchoJob: { perform: () => {} },
    FailJob: job,
    FailNowJob: { ...job, retry: 0 },
    NoRetryJob: { ...job, retry: false },
    RetryInJob: { ...job, retryIn: (count, error) => wanted(error) + count },
    KillJob: { ...job, retryIn: () => "kill" },
    DiscardJob: { ...job, retryIn: () => "discard" },
  };
}
