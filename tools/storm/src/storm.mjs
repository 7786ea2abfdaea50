/* npm run storm: kills, pauses, restarts and retires real worker processes under load, then checks every job and run.
 *   --seed N       repeats a storm (default: a fresh one, always printed)
 *   --kills N --pauses N --jobs N --processes N   its size (defaults 200, 40, 20,000, 8); --gap N  mean ms between steps
 *   --long         3,000 kills, 600 pauses, 300,000 jobs      --minutes N   goes on for so long, whatever the counts
 *   --compare      the same storm on the bare queue as well   --queue NAME|PATH   --json   only the verdict on stdout
 * The last line of stdout is the verdict. Exit code 1 unless nothing was lost, doubled, requeued twice or otherwise wrong. */
import { check } from "./checker.mjs";
import { PATIENCE, play } from "./conductor.mjs";
import { readFlags, repeat } from "./flags.mjs";
import { isClean, report, verdictOf } from "./verdict.mjs";

/** @typedef {import("./flags.mjs").Flags} Flags */

const interruption = new AbortController();
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.once(signal, () => {
    process.exitCode = signal === "SIGINT" ? 130 : 143;
    interruption.abort();
  });
}

try {
  await main(readFlags(process.argv.slice(2)));
} catch (error) {
  console.error(error instanceof Error ? error.stack : error);
  process.exitCode = 1;
}

async function main(/** @type {Flags} */ flags) {
  const say = (/** @type {string} */ line) => void (flags.json ? process.stderr : process.stdout).write(`${line}\n`);
  say(`Storm with seed ${flags.seed}. To repeat it: ${repeat(flags)}`);
  const assured = await one(flags, false, say);
  if (flags.compare) await compare(flags, say);
  console.log(JSON.stringify(assured.verdict));
  if (!assured.clean) process.exitCode ??= 1;
}

async function one(/** @type {Flags} */ flags, /** @type {boolean} */ bare, /** @type {(line: string) => void} */ say) {
  const outcome = await play({ ...flags, bare }, say, interruption.signal);
  const violations = check(outcome.history);
  const clean = isClean(violations);
  const verdict = verdictOf(outcome, violations, flags.seed);
  if (!clean && !bare)
    say(["", ...report(outcome.history, violations), "", `To repeat it: ${repeat(flags)}`].join("\n"));
  return { verdict, clean };
}

/* BullMQ alone takes long; what counts as lost there is said, not hidden. */
async function compare(/** @type {Flags} */ flags, /** @type {(line: string) => void} */ say) {
  const seconds = PATIENCE.bare / 1_000;
  say(
    `\nThe same storm with ${flags.queue} alone, with its own default times. After the last disturbance it is waited for until`,
  );
  say(
    `no job has ended for ${seconds} s. Lost = not ended by then, or failed by the queue although its handler never failed.`,
  );
  const { verdict } = await one(flags, true, say);
  say(`${flags.queue} alone: ${JSON.stringify(verdict)}`);
  say("with assurance:");
}
