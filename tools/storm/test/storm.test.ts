/* The storm itself, as `npm run storm` runs it, small; and that it can fail. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../src/storm.mjs", import.meta.url));
const broken = (name: string): string => fileURLToPath(new URL(`broken/${name}.mjs`, import.meta.url));

/** Alone on two cores a small storm takes about three minutes; beside everything else it takes what it takes. */
const LONG = 25 * 60_000;

interface Verdict {
  readonly kills: number;
  readonly killsInMidJob: number;
  readonly pauses: number;
  readonly zombies: number;
  readonly jobs: number;
  readonly lost: number;
  readonly doubled: number;
  readonly requeuedTwice: number;
  readonly others: Readonly<Record<string, number>>;
  readonly seed: number;
}

interface Ended {
  readonly code: number;
  readonly verdict: Verdict;
  /** Everything it said, with the stories of the jobs concerned: the message of a failure. */
  readonly told: string;
}

function storm(...args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [PROGRAM, ...args], { maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      const told = `${stdout}${stderr}`;
      const last = stdout.trimEnd().split("\n").at(-1) ?? "";
      if (!last.startsWith("{")) return reject(new Error(`the storm gave no verdict:\n${told}`));
      resolve({ code: Number(error?.code ?? 0), verdict: JSON.parse(last) as Verdict, told });
    });
  });
}

for (const [queue, pauses] of Object.entries({ bullmq: 40, bee: 100, "bee-stall-check": 100 }))
  test(
    `${queue}: 200 kills and ${pauses} pauses among 20,000 jobs lose nothing, double nothing and requeue nothing twice`,
    { timeout: LONG },
    async () => {
      const { code, verdict, told } = await storm("--queue", queue, "--pauses", String(pauses));
      expect(verdict, told).toMatchObject({ lost: 0, doubled: 0, requeuedTwice: 0, others: {} });
      expect(code, told).toBe(0);
      expect(verdict.kills).toBeGreaterThanOrEqual(200);
      expect(verdict.jobs).toBeGreaterThanOrEqual(20_000);
      expect(verdict.pauses).toBeGreaterThanOrEqual(pauses);
      expect(verdict.killsInMidJob, "kills that met work").toBeGreaterThan(verdict.kills / 2);
      expect(verdict.zombies, "freezes until the others had declared it dead").toBeGreaterThan(5);
    },
  );

/* The large one is `npm run storm -- --queue sidekiq`. */
test(
  "sidekiq: 20 kills and 8 pauses lose nothing, double nothing and requeue nothing twice",
  { timeout: LONG },
  async () => {
    const { code, verdict, told } = await storm(
      "--queue",
      "sidekiq",
      "--kills",
      "20",
      "--pauses",
      "8",
      "--jobs",
      "2000",
    );
    expect(verdict, told).toMatchObject({ lost: 0, doubled: 0, requeuedTwice: 0, others: {} });
    expect(code, told).toBe(0);
    expect(verdict.kills).toBeGreaterThanOrEqual(20);
    expect(verdict.jobs).toBeGreaterThanOrEqual(2_000);
    expect(verdict.killsInMidJob, "kills that met work").toBeGreaterThan(verdict.kills / 2);
  },
);

const SMALL = ["--kills", "12", "--pauses", "0", "--jobs", "600"];

test("a storm over an adapter that finds no orphans is not passed", { timeout: LONG }, async () => {
  const { code, verdict } = await storm(...SMALL, "--queue", broken("forgetful"));
  expect(code).toBe(1);
  expect(verdict.others["unexplained"] ?? 0).toBeGreaterThan(0);
});

for (const name of ["generous", "bee-generous", "sidekiq-generous"])
  test(
    `a storm over an adapter that gives back without comparing (${name}) is not passed`,
    { timeout: LONG },
    async () => {
      const { code, verdict, told } = await storm(...SMALL, "--queue", broken(name));
      expect(code).toBe(1);
      // Whether the second copy of a job starts before or after the first one's end is the machine's choice.
      const { overlap = 0, ranAfterEnd = 0 } = verdict.others;
      expect(verdict.doubled + overlap + ranAfterEnd, told).toBeGreaterThan(0);
    },
  );
