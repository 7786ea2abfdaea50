/* Against Rails itself: it runs what we build, and we read what it builds. */
import { startSidekiq } from "@assured-jobs/dev-ruby";
import type { RubyWorker } from "@assured-jobs/dev-ruby";
import { Redis } from "ioredis";
import { expect, onTestFinished, test, vi } from "vitest";
import { activeJob } from "../../src/active-job/active-job.ts";
import { globalId } from "../../src/active-job/global-id.ts";
import { readActiveJob } from "../../src/active-job/read.ts";
import {
  bigDecimal,
  duration,
  indifferent,
  keywords,
  rubyDate,
  rubyModule,
  rubyRange,
  symbol,
  symbolKeys,
} from "../../src/active-job/values.ts";
import { SidekiqClient } from "../../src/client/client.ts";
import { Payload } from "../../src/wire/payload.ts";
import { rubyFloat } from "../../src/wire/ruby-float.ts";
import { forEachRuby } from "../wire/support/ruby.ts";

interface Told {
  readonly jid: string;
  readonly job_id: string;
  readonly args: readonly string[];
}

const WITHIN = { timeout: 20_000, interval: 50 };

/** The last that a job has told. */
function toldBy(redis: Redis, worker: RubyWorker): Promise<Told> {
  return vi.waitFor(async () => {
    const texts = await redis.lrange("echo", 0, -1);
    if (texts.length === 0) throw new Error(`nothing was told; the worker says: ${worker.log()}`);
    const jobs = texts.map((text) => JSON.parse(text) as Told);
    return jobs.at(-1)!;
  }, WITHIN);
}

const SINCE_RAILS_7: [unknown, unknown][] = [
  [bigDecimal("12.50"), "0.125e2"],
  [rubyRange(1, 9, true), "1...9"],
];

/* Ruby 3.4 inspects a Hash in another way. */
const asRuby31 = (inspected: string): string =>
  inspected.replaceAll(/(?<=[{ ])(\w+): /g, ":$1=>").replaceAll(" => ", "=>");

await forEachRuby(
  (scene) => {
    test("Rails runs a job that was built here, and gets each value as it was meant", async () => {
      const { url, set } = scene();
      const client = new SidekiqClient({ redis: url });
      const redis = new Redis(url);
      const worker = await startSidekiq(set, { redisUrl: url, requires: ["active-job"], beat: 0.2 });
      onTestFinished(async () => {
        await worker.kill();
        redis.disconnect();
        await client.close();
      });
      const newer = set === "sidekiq6" ? [] : SINCE_RAILS_7;
      const values: [unknown, unknown][] = [
        [globalId("shop", "User", 42), "#<struct User id=42>"],
        [symbol("sym"), ":sym"],
        [{ a: 1 }, '{"a"=>1}'],
        [symbolKeys({ a: symbol("b") }), "{:a=>:b}"],
        [indifferent({ a: 1 }), '{"a"=>1}'],
        [rubyFloat(2), "2.0"],
        [2n ** 70n, "1180591620717411303424"],
        [new Date("2026-01-02T03:04:05.678Z"), "2026-01-02 03:04:05.678 UTC"],
        [rubyDate("2026-01-02"), expect.stringContaining("#<Date: 2026-01-02 ")],
        [duration(259_200, { days: 3 }), "3 days"],
        [rubyModule("User"), "User"],
        ...newer,
        [keywords({ key: "word" }), '{:key=>"word"}'],
      ];
      const version = await client.version();
      const job = activeJob(
        "AjEchoJob",
        values.map(([value]) => value),
        { sidekiq: version },
      );
      const jid = await client.push(job);
      const told = await toldBy(redis, worker);
      expect(told.args.map(asRuby31)).toEqual(values.map(([, inspected]) => inspected));
      expect(told.job_id).toBe((job.args[0] as { job_id: string }).job_id);
      expect(version).toBe(Number(set.at(-1)));
      expect(told.jid).toBe(jid);

      const old = await client.push(activeJob("AjEchoJob", ["by the wrapper that all know"]));
      await vi.waitFor(async () => expect((await toldBy(redis, worker)).jid).toBe(old), WITHIN);
    });

    test("a job that Rails built is read with its values", async () => {
      const { ruby } = scene();
      const job = `ReportJob.perform_later(User.new(42), :sym, {a: 1}, {"b" => 1.0}, 2**70, Date.new(2026, 1, 2),
        Time.utc(2026, 1, 2, 3, 4, 5.678r), 3.days, String, key: "word")`;
      const id = await ruby.call("evaluate", `${job}.job_id`);
      const [queued] = await ruby.call("queue_jobs", "reports");
      const payload = Payload.parse(queued!.value)!;
      const read = (await readActiveJob(payload, { resolveGlobalId: async ({ model, id: key }) => [model, key] }))!;
      expect(read).toMatchObject({ jobClass: "ReportJob", jobId: id, queue: "reports", executions: 0, locale: "en" });
      expect(Math.abs(read.enqueuedAt!.getTime() - Date.now())).toBeLessThan(10_000);
      expect(read.arguments).toEqual([
        ["User", "42"],
        symbol("sym"),
        { a: 1 },
        { b: 1 },
        2n ** 70n,
        rubyDate("2026-01-02"),
        new Date("2026-01-02T03:04:05.678Z"),
        duration(259_200, { days: 3 }),
        rubyModule("String"),
        { key: "word" },
      ]);
    });
  },
  { requires: ["active-job"] },
);
