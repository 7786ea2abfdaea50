/* Jobs cross the border both ways with every value, as either side means it, and keep their jid. */
import { until } from "@assured-jobs/core/testing";
import type { Redis } from "ioredis";
import { expect, test } from "vitest";
import type { SidekiqJob } from "../../src/index.ts";
import { rubyFloat } from "../../src/wire/ruby-float.ts";
import { argsIn, eachRuby } from "./support.ts";

/** As a text of Ruby: JavaScript has not all of these numbers. */
const RUBY_ARGS = `[null,true,false,0,-1,1.5,2.0,1.0e+30,9007199254740993,${2n ** 70n},"","grüße 🚲 \\u0000\u2028/<&>\\\\",[],{},{"b":[{"a":null}],"10":1,"9":2}]`;
const READ_HERE = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2,
  1e30,
  9007199254740993n,
  2n ** 70n,
  "",
  "grüße 🚲 \u0000\u2028/<&>\\",
  [],
  {},
  { b: [{ a: null }], 10: 1, 9: 2 },
];

await eachRuby((scene) => {
  test("Ruby runs what was pushed from Node: each value as it was meant, under the same jid", async () => {
    const { redis } = scene();
    const values = [
      null,
      true,
      false,
      0,
      -1,
      1.5,
      rubyFloat(2),
      9007199254740993n,
      -(2n ** 70n),
      "",
      "grüße 🚲 \u0000\u2028/<&>",
    ];
    const jid = await scene()
      .client()
      .push({ class: "EchoJob", args: [...values, [], {}, { a: [{ b: null }] }] });
    const [pushed] = await scene().waiting();
    expect(argsIn(pushed!)).toContain("1.5,2.0,9007199254740993,-1180591620717411303424");
    await scene().hire();
    const told = await scene().heard("echo", jid);
    expect(argsIn(told.text)).toBe(argsIn(pushed!));
    expect(await redis.zcard("retry")).toBe(0);
  });

  test("Ruby runs each job of a bulk once, in the order it was given", async () => {
    const args = Array.from({ length: 1_100 }, (_, nth) => [nth, `job ${nth}`]);
    const jids = await scene().client().pushBulk({ class: "EchoJob", args });
    await scene().hire({ concurrency: 1 });
    await until("all were run", async () => (await scene().redis.llen("echo")) >= 1_100);
    const told = await scene().told("echo");
    expect(told.map(({ jid }) => jid)).toEqual(jids);
    expect(told.map((one) => one["args"])).toEqual(args);
  });

  test("Ruby's poller runs what Node pushed for later when it is due, and not before", async () => {
    const client = scene().client();
    const due = Date.now() + 700;
    const inSeconds = await client.performIn(0.7, { class: "EchoJob", args: ["in"] });
    const atDate = await client.performAt(new Date(due), { class: "EchoJob", args: ["at"] });
    const scheduled = (await scene().ruby.call("schedule_set")).map(({ jid }) => jid);
    expect(new Set(scheduled)).toEqual(new Set([inSeconds, atDate]));
    await scene().hire({ poll: 0.1 });
    for (const jid of [inSeconds, atDate]) await scene().heard("echo", jid);
    expect(Date.now()).toBeGreaterThanOrEqual(due);
  });

  test("Node runs what Ruby pushed: exact arguments, the text as Ruby wrote it, the same jid", async () => {
    const { ruby } = scene();
    const jid = await ruby.call("push_text", `{"class":"NodeJob","queue":"node","tags":["a"],"args":${RUBY_ARGS}}`);
    const [pushed] = await scene().waiting("node");
    const jobs: SidekiqJob[] = [];
    await scene().work({ queues: ["node"], handlers: { NodeJob: (job) => void jobs.push(job) } });
    const job = await until("it runs", () => jobs[0]);
    expect(job).toMatchObject({ jid, class: "NodeJob", queue: "node", attempt: 0 });
    expect(job.args).toEqual(READ_HERE);
    expect(job.payload.text).toBe(pushed);
    expect(Math.abs(job.createdAt!.getTime() - Date.now())).toBeLessThan(10_000);
    await until("nothing is left of it", async () => (await ruby.call("stats")).processed === 1);
    expect(await scene().redis.hgetall("assured:running:node")).toEqual({});
  });

  test("an idle worker of ours runs what Ruby pushes without waiting for its next look", async () => {
    const waits: number[] = [];
    let pushed = 0;
    const perform = (): void => void waits.push(performance.now() - pushed);
    await scene().work({ queues: ["node", "other"], handlers: { NodeJob: perform } });
    for (const queue of ["node", "other", "node", "other", "node"]) {
      await until("it waits", async () => (await blocked(scene().redis)) === 2);
      const count = waits.length;
      pushed = performance.now();
      await scene().ruby.call("push", { class: "NodeJob", args: [], queue });
      await until("it runs", () => waits.length > count);
    }
    expect(waits.toSorted((one, other) => one - other)[2]).toBeLessThan(250); // a look comes once a second
  });

  test("Node runs each job of Ruby's bulk once, and those that Ruby pushed for later", async () => {
    const { ruby } = scene();
    const args = Array.from({ length: 1_100 }, (_, nth) => [nth]);
    const jids = await ruby.call("push_bulk", { class: "NodeJob", args });
    const later = await ruby.call("perform_in", "EchoJob", 0.5, "later");
    const jobs: SidekiqJob[] = [];
    const note = (job: SidekiqJob): void => void jobs.push(job);
    await scene().work({ concurrency: 1, handlers: { NodeJob: note, EchoJob: note } });
    await until("all were run", () => jobs.length >= 1_101);
    expect(jobs.filter((job) => job.class === "NodeJob").map(({ jid }) => jid)).toEqual(jids);
    expect(jobs.find((job) => job.class === "EchoJob")).toMatchObject({ jid: later, args: ["later"] });
    await until("all are counted", async () => (await ruby.call("stats")).processed === 1_101);
  });
});

async function blocked(redis: Redis): Promise<number> {
  return Number(/blocked_clients:(\d+)/.exec(await redis.info("clients"))![1]);
}
