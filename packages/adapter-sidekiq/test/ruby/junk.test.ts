/* What must not run in Node, or cannot run anywhere, ends as in Ruby, and no byte of it is changed. */
import { until } from "@assured-jobs/core/testing";
import type { Redis } from "ioredis";
import { expect, test } from "vitest";
import { eachRuby, jobText } from "./support.ts";

const JUNK = [
  "not json",
  "",
  `{"class":"EchoJob","args":[1],"jid":"cut off`,
  `${jobText({ class: "EchoJob" })} and more`,
  Buffer.from([0x7b, 0xff, 0xfe, 0x00, 0x0a, 0xc3]),
];

const deadOf = async (redis: Redis): Promise<string[]> =>
  (await redis.zrangeBuffer("dead", "0", "-1")).map((one) => one.toString("hex")).toSorted();

await eachRuby(
  (scene) => {
    test("what is no JSON ends in the dead set as it is, and counts as in Ruby", async () => {
      const { redis } = scene();
      const ends: unknown[] = [];
      for (const side of ["ruby", "node"]) {
        await redis.flushall();
        await scene().enqueue("default", ...JUNK, jobText({ class: "EchoJob", jid: "good" }));
        const worker = side === "ruby" ? await scene().hire() : await scene().work({ handlers: { EchoJob: () => {} } });
        await until("all of it is dead", async () => (await redis.zcard("dead")) === JUNK.length);
        await until("the good one ran", async () => Number(await redis.get("stat:processed")) > 0);
        await ("kill" in worker ? worker.kill() : worker.stop());
        const counts = await redis.mget("stat:processed", "stat:failed");
        ends.push({ dead: await deadOf(redis), counts: counts.map(Number), left: await scene().waiting() });
      }
      expect(ends[1]).toEqual(ends[0]);
      expect(ends[0]).toMatchObject({ dead: JUNK.map((one) => Buffer.from(one).toString("hex")).toSorted(), left: [] });
      expect((await scene().ruby.call("web", "/morgue")).status).toBe(200);
    });

    test("a job of an unknown class, of a batch, or encrypted goes back as it came, and Ruby runs it", async () => {
      const { redis } = scene();
      const shared = { args: [1, { 10: "ä/<" }], tags: [] };
      const texts = [
        jobText({ class: "EchoJob", jid: "unknown", ...shared }).replace("[1,", "[ 1.0, 9007199254740993,"),
        jobText({ class: "SleepJob", jid: "batch", ...shared, args: [0, "b"], bid: "bUz0kXTPXdgrZQ" }),
        jobText({ class: "SleepJob", jid: "encrypted", ...shared, args: [0, "BAhJIg=="], encrypt: true }),
      ];
      await scene().enqueue("default", ...texts);
      const ran: string[] = [];
      const refused = new Map<string, string>();
      const worker = await scene().work({ handlers: { SleepJob: ({ jid }) => void ran.push(jid) } });
      worker.on("refused", ({ jid, reason }) => void refused.set(jid, reason));
      await until("all were refused", () => refused.size === 3);
      await worker.stop();
      expect((await scene().waiting()).toSorted()).toEqual(texts.toSorted());
      expect([...refused.values()]).toEqual([
        expect.stringContaining("no handler"),
        expect.stringContaining("batch"),
        expect.stringContaining("encrypted"),
      ]);
      expect(ran).toEqual([]);
      expect(await redis.get("stat:processed")).toBeNull();

      await scene().hire();
      await scene().heard("echo", "unknown");
      for (const jid of ["batch", "encrypted"]) await scene().heard("dones", jid);
    });

    test("jobs that Node refuses keep it from none that it knows", async () => {
      const { ruby } = scene();
      await scene().enqueue(
        "default",
        ...Array.from({ length: 20 }, (_, nth) => jobText({ class: "Strange", jid: `strange-${nth}` })),
      );
      const jids = await ruby.call("push_bulk", { class: "NodeJob", args: [[1], [2], [3]] });
      const ran: string[] = [];
      await scene().work({ concurrency: 2, handlers: { NodeJob: ({ jid }) => void ran.push(jid) } });
      await until("all that it knows ran", () => ran.length === 3, 25_000);
      expect(ran).toEqual(jids);
      expect(await ruby.call("stats")).toMatchObject({ failed: 0, retry_size: 0, dead_size: 0 });
    });
  },
  { sets: ["sidekiq6", "sidekiq7"] },
);
