import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import { rubyAvailable, startRuby } from "@assured-jobs/dev-ruby";
import { expect, onTestFinished, test } from "vitest";

const src = join(import.meta.dirname, "../src");
const noRuby = await rubyAvailable("sidekiq7");

interface Program {
  readonly said: string[];
  readonly exit: Promise<unknown>;
  kill(signal: NodeJS.Signals): void;
}

function start(file: string, url: string): Program {
  const child = spawn(process.execPath, [join(src, file)], {
    env: { ...process.env, REDIS_URL: url },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const said: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => said.push(...text.trimEnd().split("\n")));
  return { said, exit: once(child, "exit"), kill: (signal) => void child.kill(signal) };
}

async function ownRedis(): Promise<string> {
  const redis = await startRedis({ own: true });
  onTestFinished(() => redis.stop());
  return redis.url;
}

const REPORT = 'report [{"month":"May"}]';

test(
  "the worker that works hard is killed, the other one does the job, and leaves on SIGTERM",
  { timeout: 60_000 },
  async () => {
    const url = await ownRedis();
    const workers = [start("worker.mjs", url), start("worker.mjs", url)];
    await until("both wait", () => workers.every(({ said }) => said.includes("waiting for jobs")));
    const push = start("push.mjs", url);
    const victim = await until("one works for bob", () =>
      workers.find(({ said }) => said.includes("working hard for bob")),
    );
    victim.kill("SIGKILL");
    const survivor = workers.find((worker) => worker !== victim)!;
    expect(await push.exit).toEqual([0, null]);
    for (const line of ["did 5 things for bob", "did 3 things for ada"])
      await until(line, () => survivor.said.includes(line), 20_000);
    expect([...victim.said, ...survivor.said]).toContain(REPORT);
    survivor.kill("SIGTERM");
    expect(await survivor.exit).toEqual([143, null]);
  },
);

test.skipIf(noRuby)("what Ruby and Rails push as the README says runs here", { timeout: 60_000 }, async () => {
  const url = await ownRedis();
  const worker = start("worker.mjs", url);
  const ruby = await startRuby("sidekiq7", { redisUrl: url, requires: ["active-job"] });
  onTestFinished(() => ruby.close());
  await ruby.call("evaluate", 'class HardJob; include Sidekiq::Job; sidekiq_options queue: "node", retry: 5; end');
  await ruby.call("evaluate", 'HardJob.perform_async("bob", 5)');
  await ruby.call("evaluate", 'ReportJob.perform_later(month: "May"); nil');
  for (const line of ["did 5 things for bob", REPORT]) await until(line, () => worker.said.includes(line));
});
