import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { startRedis } from "../../dev-redis/src/index.mjs";
import { sets } from "./sets.ts";

const orphanMaker = fileURLToPath(new URL("orphan-maker.mjs", import.meta.url));
const set = sets[0];

test.runIf(set).each(["SIGKILL", "SIGTERM", "SIGINT"] as const)(
  "no Ruby process outlives the one that started it, after %s",
  async (signal) => {
    const redis = await startRedis({ own: true });
    const child = spawn(process.execPath, [orphanMaker, set!, redis.url], { stdio: ["ignore", "pipe", "inherit"] });
    const closed = once(child, "close");
    const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
    const pids = JSON.parse(line) as number[];
    expect(pids.map(isRunning)).toEqual([true, true]);

    child.kill(signal);
    await closed;
    await vi.waitFor(() => expect(pids.map(isRunning)).toEqual([false, false]), 10_000);
    await redis.stop();
  },
);

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
