/* Jobs of Rails: Node runs them by the name of their own class, fails them as Sidekiq does, and pushes some of its own. */
import { until } from "@assured-jobs/core/testing";
import { expect, test } from "vitest";
import { activeJob } from "../../src/active-job/active-job.ts";
import { globalId } from "../../src/active-job/global-id.ts";
import { readActiveJob } from "../../src/active-job/read.ts";
import type { ActiveJobData } from "../../src/active-job/read.ts";
import { symbol } from "../../src/active-job/values.ts";
import type { SidekiqJob } from "../../src/index.ts";
import { eachRuby } from "./support.ts";

await eachRuby(
  (scene) => {
    test("Node runs a job of Rails by its own class, with its arguments, and is shown with it", async () => {
      const { ruby } = scene();
      const jobId = await ruby.call(
        "evaluate",
        `ReportJob.perform_later(User.new(42), :sym, {"b" => 1}, 2**70).job_id`,
      );
      const ran: { job: SidekiqJob; data: ActiveJobData | undefined; shown: string }[] = [];
      const perform = async (job: SidekiqJob): Promise<void> => {
        const { body } = await ruby.call("web", "/busy");
        ran.push({ job, data: await readActiveJob(job.payload), shown: body });
      };
      await scene().work({ queues: ["reports"], handlers: { ReportJob: perform } });
      const { job, data, shown } = await until("it ran", () => ran[0]);
      expect(job).toMatchObject({ class: "ReportJob", queue: "reports" });
      const values = [globalId("shop", "User", 42), symbol("sym"), { b: 1 }, 2n ** 70n];
      expect(data).toMatchObject({ jobClass: "ReportJob", jobId, arguments: values });
      expect(shown).toContain("ReportJob");
      await until("it has ended", async () => (await ruby.call("stats")).processed === 1);
    });

    test("a job of Rails that failed in Node is retried by Rails under the same job_id", async () => {
      const { ruby } = scene();
      const { jid, job_id: jobId } = await ruby.call("active_job_push", "AjEchoJob", 1, { a: 2 });
      const fail = (): void => {
        throw new Error("not here");
      };
      const worker = await scene().work({ handlers: { AjEchoJob: fail } });
      const [entry] = await until("it failed", async () => {
        const entries = await ruby.call("retry_set");
        return entries.length > 0 && entries;
      });
      await worker.stop();
      expect(entry).toMatchObject({ jid, display_class: "AjEchoJob", item: { error_message: "not here" } });
      await ruby.call("enqueue_entry", jid, "retry");
      await scene().hire();
      expect(await scene().heard("echo", jid)).toMatchObject({
        job_id: jobId,
        args: ["1", expect.stringMatching(/^\{"a" ?=> ?2\}$/)],
      });
    });

    test("Rails runs what Node pushed, now and later: records, symbols and times as they were meant", async () => {
      const client = scene().client({ sidekiq: scene().version as 6 | 7 | 8 });
      const sidekiq = await client.version();
      const args = [globalId("shop", "User", 7), symbol("sym"), new Date("2026-01-02T03:04:05Z"), 1];
      const now = await client.push(activeJob("AjEchoJob", args, { sidekiq }));
      const later = await client.push(activeJob("ReportJob", args, { sidekiq, queue: "reports", at: 0.3 }));
      await scene().hire({ queues: ["default", "reports"], poll: 0.1 });
      const inspected = ["#<struct User id=7>", ":sym", "2026-01-02 03:04:05 UTC", "1"];
      expect(await scene().heard("echo", now)).toMatchObject({ class: "AjEchoJob", args: inspected });
      expect(await scene().heard("echo", later)).toMatchObject({ class: "ReportJob", args: inspected });
    });

    test("a job of Rails whose class Node does not know goes back as it came, and Rails runs it", async () => {
      const { jid } = await scene().ruby.call("active_job_push", "AjEchoJob", "stays");
      const [text] = await scene().waiting();
      const refused: string[] = [];
      const worker = await scene().work({ handlers: { ReportJob: () => {} } });
      worker.on("refused", (job) => void refused.push(job.class));
      await until("it was refused", () => refused[0] === "AjEchoJob");
      await worker.stop();
      expect(await scene().waiting()).toEqual([text]);
      await scene().hire();
      await scene().heard("echo", jid);
    });
  },
  { requires: ["active-job"] },
);
