import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const demo = join(import.meta.dirname, "../src/demo.mjs");

interface Summary {
  kills: number;
  lost: number;
  duplicates: number;
  rerunMs: { p50: number; max: number };
}

for (const queue of ["bullmq", "bee", "sidekiq"])
  test(
    `${queue}: killed processes lose no job, and their jobs run again within seconds`,
    { timeout: 120_000 },
    async () => {
      const { stdout, stderr } = await run(process.execPath, [demo, "--json", "--kills", "2", "--queue", queue]);
      const summary = JSON.parse(stdout.trim().split("\n").at(-1)!) as Summary;
      expect(summary, stderr).toMatchObject({ kills: 2, lost: 0, duplicates: 0 });
      expect(summary.rerunMs.p50).toBeGreaterThan(0);
      expect(summary.rerunMs.max, stderr).toBeLessThan(5_000);
    },
  );
