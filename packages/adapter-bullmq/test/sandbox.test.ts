import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Scene, versions } from "./support/bull.ts";
import { until } from "@assured-jobs/core/testing";
import { sandboxGuard } from "../src/index.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const parentFile = fileURLToPath(new URL("./support/sandbox-parent.mjs", import.meta.url));

/* Starts a worker process, lets its sandbox take a job, and kills the worker process. Gives the pid of the sandbox. */
async function orphanedChild(scene: Scene, forkOptions: object, busy: boolean): Promise<number> {
  const args = [parentFile, scene.bull.module, String(server.port), scene.queue.name, JSON.stringify(forkOptions)];
  const parent = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  onTestFinished(() => void parent.kill("SIGKILL"));
  const job = await scene.queue.add("work", { busy });
  const pid = await until("the sandbox works", async () => (await scene.queue.getJob(job.id!))!.progress);
  onTestFinished(() => end(Number(pid)));
  parent.kill("SIGKILL");
  return Number(pid);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const end = (pid: number): void => {
  if (isAlive(pid)) process.kill(pid, "SIGKILL");
};

describe.each(versions)("sandboxed processors of $label", (bull) => {
  test.each([
    ["waits", false],
    ["is busy", true],
  ])("a guarded sandbox that %s ends with its killed worker process", async (_label, busy) => {
    const scene = new Scene(bull, server.url);
    const pid = await orphanedChild(scene, sandboxGuard(), busy);
    await until("it is gone", () => !isAlive(pid), 3_000);
  });

  test("an unguarded one outlives it: that is why there is a guard", async () => {
    const scene = new Scene(bull, server.url);
    const pid = await orphanedChild(scene, {}, false);
    const killed = performance.now();
    await until("a second has passed", () => performance.now() - killed > 1_000);
    expect(isAlive(pid)).toBe(true);
  });

  test("a guarded sandbox works and is reused as any other", async () => {
    const scene = new Scene(bull, server.url);
    const file = fileURLToPath(new URL("./support/echo.cjs", import.meta.url));
    const worker = scene.worker(file, { workerForkOptions: sandboxGuard() });
    const jobs = await scene.queue.addBulk([1, 2, 3].map((n) => ({ name: "echo", data: { n } })));
    await until("all completed", async () => (await scene.queue.getCompletedCount()) === 3);
    const values = await Promise.all(jobs.map(async ({ id }) => (await scene.queue.getJob(id!))!.returnvalue));
    expect(values).toEqual([1, 2, 3]);
    await worker.close();
  });
});
