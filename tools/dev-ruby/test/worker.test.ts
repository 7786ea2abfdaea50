import { describe, expect, test, vi } from "vitest";
import type { RubyConsole } from "../src/index.mjs";
import { assemble } from "./crew.ts";
import { sets } from "./sets.ts";

const PATIENCE = 15_000;

async function heard(ruby: RubyConsole, list: string, jid: string | null) {
  return vi.waitFor(async () => {
    const told = (await ruby.call("told", list)).find((one) => one["jid"] === jid);
    expect(told, `${String(jid)} in ${list}`).toBeDefined();
    return told!;
  }, PATIENCE);
}

describe.each(sets)("%s", (set) => {
  test("a worker runs what the console has pushed, and is seen at work", async () => {
    const { ruby, hire } = await assemble(set);
    const jid = await ruby.call("push", { class: "EchoJob", args: [1, "é", { a: [1.5, null] }] });
    const worker = await hire({ queues: ["default,2", "low"], concurrency: 3 });
    expect(await heard(ruby, "echo", jid)).toEqual({
      class: "EchoJob",
      jid,
      pid: worker.pid,
      args: [1, "é", { a: [1.5, null] }],
    });

    const slow = await ruby.call("perform_async", "SleepJob", 30, "slow");
    await vi.waitFor(async () => {
      const [work] = await ruby.call("work_set");
      expect(work).toMatchObject({ process: worker.identity, queue: "default", payload: { jid: slow } });
    }, PATIENCE);
    const [process] = await ruby.call("process_set");
    expect(process).toMatchObject({ identity: worker.identity, pid: worker.pid, concurrency: 3, stopping: false });
    expect(process!.queues).toEqual(expect.arrayContaining(["default", "low"]));
    const page = await ruby.call("web", "/busy");
    expect(page.status).toBe(200);
    expect(page.body).toContain(worker.identity);
    expect(page.body).toContain("slow");
  });

  test("the buttons of the web page reach a worker", async () => {
    const { ruby, hire } = await assemble(set);
    const worker = await hire();
    expect(await ruby.call("web", "/busy", "POST", { identity: worker.identity, quiet: "1" })).toMatchObject({
      status: 302,
    });
    await vi.waitFor(async () => expect((await ruby.call("process_set"))[0]?.stopping).toBe(true), PATIENCE);
    await ruby.call("web", "/busy", "POST", { identity: worker.identity, stop: "1" });
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(await ruby.call("process_set")).toEqual([]);
  });

  test("jobs fail as they say, and can be retried, killed and deleted", async () => {
    const { ruby, hire } = await assemble(set);
    const jid = await ruby.call("push", { class: "FailJob", args: ["boöm"], retry: 3, backtrace: 2 });
    const dead = await ruby.call("perform_async", "FailNowJob");
    const gone = await ruby.call("perform_async", "NoRetryJob");
    const worker = await hire();
    for (const one of [jid, dead, gone]) await heard(ruby, "fails", one);
    const [entry] = await vi.waitFor(async () => {
      const entries = await ruby.call("retry_set");
      expect(entries).toHaveLength(1);
      return entries;
    }, PATIENCE);
    expect(entry).toMatchObject({ jid, item: { error_message: "boöm", error_class: "RuntimeError", retry_count: 0 } });
    expect(entry!.error_backtrace).toHaveLength(2);
    expect(await ruby.call("inflate_backtrace", entry!.item["error_backtrace"] as string)).toEqual(
      entry!.error_backtrace,
    );
    await vi.waitFor(async () => expect((await ruby.call("dead_set")).map((one) => one.jid)).toEqual([dead]), PATIENCE);

    await worker.stop();
    expect(await ruby.call("kill_entry", jid!)).toBe(true);
    expect(await ruby.call("delete_entry", dead!, "dead")).toBe(true);
    expect(await ruby.call("retry_entry", jid!, "dead")).toBe(true);
    expect(await ruby.call("retry_entry", jid!, "dead")).toBe(false);
    expect((await ruby.call("queue_jobs", "default")).map((one) => one.jid)).toEqual([jid]);
  });

  test("a killed worker leaves nothing of itself, and a stopped one gives its job back", async () => {
    const { ruby, hire } = await assemble(set);
    const first = await ruby.call("perform_async", "SleepJob", 60, "lost");
    const killed = await hire();
    await heard(ruby, "starts", first);
    await killed.kill();
    expect(await killed.exited).toEqual({ code: null, signal: "SIGKILL" });
    expect(await ruby.call("queue_jobs", "default")).toEqual([]);

    const second = await ruby.call("perform_async", "SleepJob", 60, "kept");
    const stopped = await hire({ timeout: 1, concurrency: 1 }); // no idle thread, whose BRPOP may take what is given back and lose it
    await heard(ruby, "starts", second);
    await stopped.stop();
    expect((await ruby.call("queue_jobs", "default")).map(({ jid }) => jid)).toEqual([second]);
    expect(stopped.log()).toContain("SleepJob");
  });

  test("of two jobs that are the same, one waits", async () => {
    const { ruby, hire } = await assemble(set, { requires: ["unique-jobs"] });
    const jid = await ruby.call("perform_async", "UniqueEcho", 1);
    expect(await ruby.call("perform_async", "UniqueEcho", 1)).toBeNull();
    const [digest] = Object.keys(await ruby.call("digests"));
    expect(Object.keys((await ruby.call("locks", digest!)).locked)).toEqual([jid]);
    const item = '{"class":"UniqueEcho","queue":"default","args":[1]}';
    expect(await ruby.call("lock_digests", [item])).toEqual([digest]);
    expect((await ruby.call("web", "/locks")).body).toContain(digest);

    await hire();
    await heard(ruby, "echo", jid);
    await vi.waitFor(async () => expect(await ruby.call("digests")).toEqual({}), PATIENCE);
    await ruby.call("reap");
  });

  test("jobs of ActiveJob travel as Rails sends them", async () => {
    const { ruby, hire } = await assemble(set, { requires: ["active-job"] });
    const { jid, job_id } = await ruby.call("active_job_push", "AjEchoJob", 1, { a: 2 });
    await ruby.call("evaluate", "ReportJob.perform_later(User.new(42), :sym, Time.at(0).utc).job_id");
    const wrapper =
      set === "sidekiq8" ? "Sidekiq::ActiveJob::Wrapper" : "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper";
    const [report] = await ruby.call("queue_jobs", "reports");
    expect(report).toMatchObject({ class: wrapper, display_class: "ReportJob" });

    await hire({ queues: ["default", "reports"] });
    expect(await heard(ruby, "echo", jid)).toMatchObject({ class: "AjEchoJob", job_id, args: ["1", '{"a"=>2}'] });
    expect(await heard(ruby, "echo", report!.jid)).toMatchObject({
      args: ["#<struct User id=42>", ":sym", "1970-01-01 00:00:00 UTC"],
    });
  });
});

describe.each(sets.filter((set) => set !== "sidekiq8"))("%s with sidekiq-assured-jobs", (set) => {
  test("one pass gives back what a killed worker had tracked", async () => {
    const { ruby, hire } = await assemble(set, { requires: ["assured-jobs"] });
    const jid = await ruby.call("perform_async", "TrackedSleep", 60, "orphan");
    const worker = await hire({
      env: {
        ASSURED_JOBS_HEARTBEAT_TTL: "1",
        ASSURED_JOBS_HEARTBEAT_INTERVAL: "1",
        ASSURED_JOBS_AUTO_RECOVERY: "false",
      },
    });
    await heard(ruby, "starts", jid);
    await worker.kill();
    await vi.waitFor(async () => {
      await ruby.call("assured_jobs_pass");
      expect((await ruby.call("queue_jobs", "default")).map((job) => job.jid)).toEqual([jid]);
    }, PATIENCE);
    expect((await ruby.call("web", "/orphaned-jobs")).status).toBe(200);
  });
});

describe.each(sets.filter((set) => set !== "sidekiq6"))("%s", (set) => {
  test("an iterable job goes on where it was interrupted", async () => {
    const { ruby, hire } = await assemble(set);
    const jid = await ruby.call("perform_async", "CountJob", 8, 0.2);
    const first = await hire();
    await heard(ruby, "iterations", jid);
    await first.stop();
    const second = await hire();
    expect(await heard(ruby, "dones", jid)).toMatchObject({ pid: second.pid });
    const numbers = (await ruby.call("told", "iterations")).map((one) => one["number"]);
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });
});
