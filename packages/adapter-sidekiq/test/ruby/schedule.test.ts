/* Whoever's poller is faster moves scheduled jobs and retries, ours or Ruby's: what arrives is the same job, byte for byte
 * but for the time of its arrival. */
import { until } from "@assured-jobs/core/testing";
import { describe, expect, test } from "vitest";
import { rubyFloat } from "../../src/wire/ruby-float.ts";
import { eachRuby, jobText } from "./support.ts";

const QUEUE = "idle"; // nobody works on it
const SETS = ["schedule", "retry"] as const;
const MANY = 400;

/** With what a round trip through another language's JSON would change: 1.0, long integers, numeric keys. */
const ARGS = `[1.0,9007199254740993,{"b":1,"10":[],"9":{}},"grüße/<&>"]`;
const withArgs = (text: string): string => text.replace('"args":[]', `"args":${ARGS}`);

const FAILURE = {
  error_message: "boöm",
  error_class: "ArgumentError",
  failed_at: 1795456990.25,
  retry_count: 1,
  retried_at: 1795457030.125,
  error_backtrace: "eJyLjgUAARUAuQ==\n",
  tags: ["a"],
  cattr: { at: 1.5 },
};

const ARRIVAL = /"enqueued_at":[\d.]+/;
const withoutArrival = (text: string): string => text.replace(ARRIVAL, '"enqueued_at":0');

await eachRuby((scene) => {
  describe.each(SETS)("in %s", (set) => {
    test("a job that is due is the same text, whether Ruby or Node has moved it", async () => {
      const { redis, ruby } = scene();
      const text = withArgs(jobText({ queue: QUEUE, ...(set === "retry" ? FAILURE : {}) }));
      await redis.zadd(set, "1795457000.5", text);
      await ruby.call("poll_once");
      const [byRuby] = await scene().waiting(QUEUE);
      await redis.del(`queue:${QUEUE}`);

      await redis.zadd(set, "1795457000.5", text);
      await scene().work({ sidekiq: scene().set === "sidekiq6" ? 6 : 7 });
      const [byNode] = await until("it is moved", async () =>
        (await scene().waiting(QUEUE)).length > 0 ? scene().waiting(QUEUE) : 0,
      );
      expect(withoutArrival(byNode!)).toBe(withoutArrival(byRuby!));
      expect(withoutArrival(byNode!)).toBe(withoutArrival(text));
      expect(await redis.smembers("queues")).toEqual([QUEUE]);
      expect(await redis.zcard(set)).toBe(0);
      const [job] = await ruby.call("queue_jobs", QUEUE);
      expect(Math.abs(job!.enqueued_at! - Date.now() / 1_000)).toBeLessThan(10);
    });

    test("each entry is moved once while Ruby and Node both look", async () => {
      const { redis } = scene();
      const texts = Array.from({ length: MANY }, (_, nth) =>
        jobText({ queue: QUEUE, jid: String(nth).padStart(24, "0") }),
      );
      await redis.zadd(set, ...texts.flatMap((text) => [String(Date.now() / 1_000 + 0.7), text]));
      await scene().hire({ queues: ["other"], poll: 0.05 });
      await scene().work({ queues: ["other"], pollInterval: 10 });
      await until("all are moved", async () => (await redis.zcard(set)) === 0);
      const jids = await until("all have arrived", async () => {
        const waiting = await scene().waiting(QUEUE);
        return waiting.length >= MANY && waiting.map((text) => (JSON.parse(text) as { jid: string }).jid);
      });
      expect(jids.toSorted()).toEqual(texts.map((_, nth) => String(nth).padStart(24, "0")));
    });

    test("what is not due stays, with its score and its text", async () => {
      const { redis, ruby } = scene();
      const text = withArgs(jobText({ queue: QUEUE }));
      const score = String(Math.floor(Date.now() / 1_000) + 3_600.125);
      await redis.zadd(set, score, text, "1795457000.5", jobText({ queue: QUEUE, jid: "due" }));
      await scene().work();
      await until("the other one is moved", async () => (await scene().waiting(QUEUE)).length === 1);
      await ruby.call("poll_once");
      expect(await scene().entries(set)).toEqual([{ text, score }]);
    });

    test("an entry that nobody can read stops nothing: Node puts it into the dead set as it is", async () => {
      const { redis } = scene();
      await redis.zadd(set, "1", "{no json", "2", jobText({ queue: QUEUE }));
      await scene().work();
      await until("the other one is moved", async () => (await scene().waiting(QUEUE)).length === 1);
      expect((await scene().entries("dead")).map((entry) => entry.text)).toEqual(["{no json"]);
      expect((await scene().ruby.call("web", "/morgue")).status).toBe(200);
    });
  });

  test("a job that Node has scheduled has the score and the text that Ruby gives one", async () => {
    const { redis, ruby } = scene();
    const at = Math.floor(Date.now() / 1_000) + 600.5;
    await scene()
      .client()
      .push({ class: "EchoJob", args: [rubyFloat(1), 2n ** 64n], jid: "node", created_at: 1795456973.5, at });
    const [byNode] = await scene().entries("schedule");
    await redis.del("schedule");
    const item = `{"class":"EchoJob","args":[1.0,${2n ** 64n}],"jid":"node","created_at":1795456973.5,"at":${at}}`;
    await ruby.call("push_text", item);
    const [byRuby] = await scene().entries("schedule");
    expect(byNode!.score).toBe(byRuby!.score);
    expect(JSON.parse(byNode!.text)).toEqual(JSON.parse(byRuby!.text));
    expect(byNode!.text).toContain(`"args":[1.0,${2n ** 64n}]`);
  });

  test("what Ruby has scheduled or put off for a retry is run by Node when it is due", async () => {
    const { ruby } = scene();
    const later = await ruby.call("perform_in", "EchoJob", 0.4, "later");
    const failing = await ruby.call("push", { class: "FailJob", args: ["once"], retry: 2, queue: "ruby" });
    const worker = await scene().hire({ queues: ["ruby"], poll: 60 });
    await until("it failed", async () => (await ruby.call("retry_set")).length === 1);
    await worker.kill();
    const [entry] = await scene().entries("retry");
    await scene().redis.zadd("retry", "1", entry!.text);
    const ran: [string, number][] = [];
    const note = ({ jid, attempt }: { jid: string; attempt: number }): void => void ran.push([jid, attempt]);
    await scene().work({ queues: ["default", "ruby"], handlers: { EchoJob: note, FailJob: note } });
    await until("both ran", () => ran.length === 2);
    expect(new Map(ran)).toEqual(
      new Map([
        [failing, 1],
        [later, 0],
      ]),
    );
  });
});
