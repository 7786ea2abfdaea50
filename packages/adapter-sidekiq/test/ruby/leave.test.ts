/* A process of ours that leaves in the middle of a job gives it back: once, as it came, and as the next one to run. */
import { until } from "@assured-jobs/core/testing";
import type { SetName } from "@assured-jobs/dev-ruby";
import { describe, expect, test } from "vitest";
import { eachRuby } from "./support.ts";

/* What an assurance adds has nothing of Ruby's version: once is enough. */
const waysOf = (set: SetName): [string, boolean][] =>
  set === "sidekiq7"
    ? [
        ["with an assurance", true],
        ["by itself", false],
      ]
    : [["by itself", false]];

const enqueuedAt = (text: string): number => (JSON.parse(text) as { enqueued_at: number }).enqueued_at;

await eachRuby(
  (scene, set) => {
    describe.each(waysOf(set))("%s", (_, assured) => {
      test("TERM in mid-job: the job is given back once, and Ruby runs it before all others", async () => {
        const { ruby } = scene();
        const long = await ruby.call("push", { class: "EchoJob", args: ["long"] });
        const [text] = await scene().waiting();
        const member = await scene().enlist({ classes: ["EchoJob"], concurrency: 1, stopTimeout: 200, assured });
        await member.heard("started", long!);
        const others = await ruby.call("push_bulk", { class: "EchoJob", args: [["next"], ["last"]] });

        member.child.kill("SIGTERM");
        await until("it has left", () => member.isGone);
        expect(member.child.exitCode).toBe(0);
        const [first, ...rest] = await scene().waiting();
        expect(first!.replace(/"enqueued_at":[\d.]+/, "")).toBe(text!.replace(/"enqueued_at":[\d.]+/, ""));
        expect(enqueuedAt(first!)).toBeGreaterThan(enqueuedAt(text!)); // its latency is that of its second wait
        expect(rest).toHaveLength(2);
        expect(await ruby.call("process_set")).toEqual([]);

        await scene().hire({ concurrency: 1 });
        await scene().heard("echo", others[1]);
        expect((await scene().told("echo")).map(({ jid }) => jid)).toEqual([long, ...others]);
        expect(member.all("returned")).toEqual([]);
      });

      test("several jobs are given back in the order in which they were to run", async () => {
        const { ruby } = scene();
        const jids = await ruby.call("push_bulk", { class: "EchoJob", args: [[1], [2], [3], [4], [5]] });
        const member = await scene().enlist({ classes: ["EchoJob"], concurrency: 3, stopTimeout: 100, assured });
        await member.heard("started", jids[2]!);
        member.child.kill("SIGTERM");
        await until("it has left", () => member.isGone);
        expect((await scene().waiting()).map((text) => (JSON.parse(text) as { jid: string }).jid)).toEqual(jids);
      });
    });

    test("a Ruby process that leaves gives its job to ours, which runs it before all others", async () => {
      const { ruby } = scene();
      const long = await ruby.call("push", { class: "SleepJob", args: [30, "long"] });
      const worker = await scene().hire({ concurrency: 1, timeout: 1 });
      await scene().heard("starts", long);
      const next = await ruby.call("push", { class: "SleepJob", args: [0, "next"] });
      await worker.stop();
      const ran: string[] = [];
      const perform = ({ jid }: { jid: string }): void => void ran.push(jid);
      await scene().work({ concurrency: 1, handlers: { SleepJob: perform } });
      await until("both ran", () => ran.length === 2);
      expect(ran).toEqual([long, next]);
    });
  },
  { sets: ["sidekiq6", "sidekiq7"] },
);
