/* Sidekiq's own pages and API show our processes, their jobs and what they have left like those of Ruby; and the buttons
 * of the pages reach them. */
import { gate, until } from "@assured-jobs/core/testing";
import { expect, test } from "vitest";
import { eachRuby } from "./support.ts";
import type { Scene } from "./support.ts";

/* Whole pages would make poor messages. */
async function expectShown(scene: Scene, path: string, texts: readonly string[]): Promise<void> {
  const { status, body } = await scene.ruby.call("web", path);
  expect({ path, status, missing: texts.filter((text) => !body.includes(text)) }).toEqual({
    path,
    status: 200,
    missing: [],
  });
}

const listed = async ({ ruby }: Scene, identity: string): Promise<Readonly<Record<string, unknown>> | undefined> =>
  (await ruby.call("process_set")).find((process) => process.identity === identity);

await eachRuby((scene, set) => {
  test("a process of ours and the job that it runs are shown, from the fetch on until its end", async () => {
    const { ruby } = scene();
    const { opened, open } = gate();
    const worker = await scene().work({
      queues: { critical: 2, node: 1 },
      concurrency: 3,
      tag: "shop",
      labels: ["blue"],
      handlers: { NodeJob: () => opened },
    });
    expect(await listed(scene(), worker.identity)).toMatchObject({
      pid: process.pid,
      tag: "shop",
      labels: ["assured-jobs", "blue"],
      concurrency: 3,
      queues: ["critical", "node"],
      busy: 0,
      quiet: "false",
      stopping: false,
    });
    const jid = await ruby.call("push", { class: "NodeJob", args: ["shown", 2 ** 40], queue: "node", tags: ["red"] });
    const [work] = await until("it works", async () => {
      const works = await ruby.call("work_set");
      return works.length > 0 && works;
    });
    expect(work).toMatchObject({ process: worker.identity, queue: "node", payload: { jid, args: ["shown", 2 ** 40] } });
    expect(Math.abs(work!.run_at - Date.now() / 1_000)).toBeLessThan(10);

    const ofProcess = [
      `:${process.pid}`,
      "shop",
      "blue",
      set === "sidekiq7" ? "critical: 2, node: 1" : "critical, node",
    ];
    await expectShown(scene(), "/busy", [
      ...ofProcess,
      worker.identity,
      jid!,
      "NodeJob",
      "&quot;shown&quot;, 1099511627776",
    ]);
    open();
    await until("it is gone", async () => (await ruby.call("work_set")).length === 0);
    expect(await ruby.call("stats")).toMatchObject({ processed: 1, failed: 0, enqueued: 0, processes_size: 1 });
  });

  /* A beat of 5 s, and 8 does it as 7 does. */
  if (set !== "sidekiq8") {
    test("Quiet and Stop: one fetches nothing more and ends what it runs, the other gives it back and is gone", async () => {
      const { ruby } = scene();
      const { opened, open } = gate();
      const ran: string[] = [];
      const perform = async ({ jid }: { jid: string }): Promise<void> => {
        await opened;
        ran.push(jid);
      };
      const quiet = await scene().work({ queues: ["quiet"], handlers: { NodeJob: perform } });
      const running = await ruby.call("push", { class: "NodeJob", args: [], queue: "quiet" });
      await until("it runs", () => quiet.busy === 1);
      const stopped = await scene().enlist({ queues: ["stop"], classes: ["NodeJob"], stopTimeout: 100 });
      const { id: identity } = await stopped.heard("ready");
      const jid = await ruby.call("push", { class: "NodeJob", args: [], queue: "stop" });
      await stopped.heard("started", jid!);

      const buttons = [
        { identity: quiet.identity, quiet: "1" },
        { identity, stop: "1" },
      ];
      for (const button of buttons) expect((await ruby.call("web", "/busy", "POST", button)).status).toBe(302);
      await until("it is shown as quiet", async () => (await listed(scene(), quiet.identity))?.["stopping"]);
      expect(await listed(scene(), quiet.identity)).toMatchObject({ busy: 1, quiet: "true" });
      await expectShown(scene(), "/busy", ['label-danger">quiet']);
      const waiting = await ruby.call("push", { class: "NodeJob", args: [], queue: "quiet" });
      open();
      await until("the running one has ended", async () => (await ruby.call("stats")).processed === 1);
      expect(ran).toEqual([running]);
      expect((await ruby.call("queue_jobs", "quiet")).map((job) => job.jid)).toEqual([waiting]);

      await until("the other one has ended", () => stopped.isGone);
      expect(stopped.child.exitCode).toBe(0);
      expect((await ruby.call("queue_jobs", "stop")).map((job) => job.jid)).toEqual([jid]);
      expect(await scene().redis.keys(`*${identity}*`)).toEqual([]);
      await quiet.stop();
      expect(await ruby.call("process_set")).toEqual([]);
      expect(await ruby.call("work_set")).toEqual([]);
    });
  }

  test("queues, retries, dead and scheduled jobs of ours are on their pages", async () => {
    const { ruby } = scene();
    const client = scene().client();
    await client.performIn(3_600, { class: "Later::Job", args: ["tomorrow"], queue: "node" });
    const dead = await client.push({ class: "Failing::Job", args: ["dead"], queue: "node", retry: 0, backtrace: true });
    const retry = await client.push({ class: "Failing::Job", args: ["again"], queue: "node", retry: 2 });
    const perform = (): void => {
      throw new TypeError("boöm <b>");
    };
    const worker = await scene().work({ queues: ["node"], handlers: { "Failing::Job": perform } });
    await until("both failed", async () => (await ruby.call("stats")).failed === 2);
    await worker.stop();
    await client.push({ class: "Failing::Job", args: ["waits"], queue: "node", tags: ["red"] });

    const shown: Readonly<Record<string, readonly string[]>> = {
      "/queues": ["node"],
      "/queues/node": ["Failing::Job", "waits", "red"],
      "/scheduled": ["Later::Job", "tomorrow", "node"],
      "/retries": ["Failing::Job", "again", "TypeError", "boöm &lt;b&gt;"],
      "/morgue": ["Failing::Job", "dead", "TypeError", "boöm &lt;b&gt;"],
      "/": ["2"],
    };
    for (const [path, texts] of Object.entries(shown)) await expectShown(scene(), path, texts);
    const [entry] = await ruby.call("dead_set");
    await expectShown(scene(), `/morgue/${entry!.score}-${dead}`, ["web.test.ts", "at "]);

    const [again] = await ruby.call("retry_set");
    const post = await ruby.call("web", `/retries/${again!.score}-${retry}`, "POST", { retry: "1" });
    expect(post.status).toBe(302);
    expect((await ruby.call("queue_jobs", "node")).map(({ jid }) => jid)).toContain(retry);
  });
});
