/* Ruby and Node may work on one queue when both know its classes: each job is run by one of them, once. */
import { until } from "@assured-jobs/core/testing";
import { expect, test } from "vitest";
import { eachRuby } from "./support.ts";

const JOBS = 600;

await eachRuby(
  (scene) => {
    test("each job of a queue that both wait for runs once, and both have their share", async () => {
      const { ruby } = scene();
      const here: string[] = [];
      await scene().hire({ queues: ["other", "default"], concurrency: 3 });
      const perform = ({ jid }: { jid: string }): void => void here.push(jid);
      await scene().work({ concurrency: 3, handlers: { EchoJob: perform } });
      const pushed: (string | null)[] = [];
      for (let nth = 0; nth < JOBS; nth += 10) {
        const args = Array.from({ length: 10 }, (_, more) => [nth + more]);
        pushed.push(...(await ruby.call("push_bulk", { class: "EchoJob", args })));
      }
      const there = async (): Promise<string[]> => (await scene().told("echo")).map(({ jid }) => jid);
      await until("all ran", async () => here.length + (await scene().redis.llen("echo")) >= JOBS);
      await until("all are counted", async () => (await ruby.call("stats")).processed === JOBS);
      const ran = [...here, ...(await there())];
      expect(ran).toHaveLength(JOBS);
      expect(new Set(ran)).toEqual(new Set(pushed));
      expect(here.length).toBeGreaterThan(0);
      expect(here.length).toBeLessThan(JOBS);
    });
  },
  { sets: ["sidekiq6", "sidekiq7"] },
);
