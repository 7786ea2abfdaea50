import { spawn } from "node:child_process";
import { join } from "node:path";
import { once } from "node:events";
import { until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import { expect, onTestFinished, test } from "vitest";

const src = join(import.meta.dirname, "../src");

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

test(
  "the worker that sends is killed, the other one sends, the producer hears it once",
  { timeout: 60_000 },
  async () => {
    const redis = await startRedis({ own: true });
    onTestFinished(() => redis.stop());
    const workers = [start("worker.mjs", redis.url), start("worker.mjs", redis.url)];
    const producer = start("producer.mjs", redis.url);
    const victim = await until("one of them sends", () => workers.find(({ said }) => said.length > 0));
    victim.kill("SIGKILL");
    const survivor = workers.find((worker) => worker !== victim)!;
    expect(await producer.exit).toEqual([0, null]);
    expect(survivor.said).toContain("sending to ada@example.org");
    expect(producer.said.toSorted()).toEqual(["job 1: made of ada.png", "job 1: sent to ada@example.org"]);
    survivor.kill("SIGTERM");
    expect(await survivor.exit).toEqual([143, null]);
  },
);
