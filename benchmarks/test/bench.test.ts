import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const run = promisify(execFile);
const program = join(import.meta.dirname, "../src/bench.mjs");

interface Refusal {
  code: number;
  stdout: string;
  stderr: string;
}

/** The object on the last line of standard output. */
async function bench(...args: string[]): Promise<unknown> {
  const { stdout } = await run(process.execPath, [program, ...args, "--json"]);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
}

const refused = (...args: string[]): Promise<Refusal> =>
  run(process.execPath, [program, ...args]).then(
    () => expect.fail("it was not refused"),
    (error: Refusal) => error,
  );

const positive = expect.toSatisfy((value: unknown) => typeof value === "number" && value > 0);

describe("each benchmark measures, and ends with one object", { timeout: 120_000 }, () => {
  test("tracking: the ratio of each load", async () => {
    const load = ["--concurrency", "10", "--job-ms", "0", "--runs", "1", "--seconds", "1"];
    expect(await bench("tracking", ...load)).toEqual({
      tracking: [{ queue: "bullmq", concurrency: 10, jobMs: 0, ratio: positive, runs: 1 }],
    });
  });

  test("recovery: orphans a second, and the slowest call", async () => {
    expect(await bench("recovery", "--orphans", "50", "--runs", "1")).toEqual({
      recovery: { queue: "bullmq", orphans: 50, perSecond: positive, slowestRedisCallMs: positive },
    });
  });

  test("detection: times from the kill to the next run, which cannot be shorter than the grace", async () => {
    const result = (await bench("detection", "--n", "1")) as { detection: { p50Ms: number } };
    expect(result).toEqual({
      detection: { queue: "bullmq", n: 1, backlog: 0, p50Ms: positive, p99Ms: positive, maxMs: positive },
    });
    expect(result.detection.p50Ms).toBeGreaterThan(1_000);
  });

  test("throughput: jobs a second beside each rival, and scripts per job; without Ruby it says so", async () => {
    const few = ["--runs", "1", "--seconds", "1", "--ruby", "no"];
    const rival = { name: "BRPOP", perSecond: positive, ratio: positive, min: positive, max: positive, budget: 0.8 };
    const result = (await bench("throughput", ...few)) as { throughput: { scriptsPerJob: { busy: number } } };
    expect(result.throughput).toEqual({
      queue: "sidekiq",
      concurrency: 10,
      runs: 1,
      perSecond: positive,
      rivals: [rival],
      scriptsPerJob: { busy: positive, oneAtATime: positive },
      missing: ["Ruby: not asked for"],
    });
    expect(result.throughput.scriptsPerJob.busy).toBeLessThan(2);
  });

  test("fleet: a row for each size", async () => {
    const figures = { sweepP99Ms: positive, redisCpuPercent: positive, bytesPerInstance: positive };
    expect(await bench("fleet", "--instances", "20", "--seconds", "2")).toEqual({
      fleet: [expect.objectContaining({ instances: 20, connectionsPerInstance: 3, claimBytes: positive, ...figures })],
    });
  });
});

describe("a mistake is a sentence, and exit code 2", () => {
  test("without a name it says what there is", async () => {
    const { code, stderr, stdout } = await refused();
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    for (const name of ["tracking", "recovery", "detection", "throughput", "fleet"]) expect(stderr).toContain(name);
  });

  test.each([
    { args: ["speed"], says: "usage: npm run bench" },
    { args: ["tracking", "--concurrency", "1,x"], says: "--concurrency: expected whole numbers from 1" },
    { args: ["tracking", "--runs", "0"], says: '--runs: expected a whole number from 1, got "0"' },
    { args: ["recovery", "--queue", "none"], says: '--queue: expected one of bee, bullmq, sidekiq, got "none"' },
    { args: ["tracking", "--current-job", "maybe"], says: '--current-job: expected yes or no, got "maybe"' },
    { args: ["throughput", "--queue", "bee"], says: "--queue: expected sidekiq, the only queue" },
    { args: ["fleet", "--orphans", "3"], says: "--orphans" },
  ])("$args", async ({ args, says }) => {
    const { code, stderr } = await refused(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
    expect(stderr).not.toContain("    at ");
  });
});
