/* What it comes to: one line for machines, and for a person the whole story of each job that went wrong. */
import { figuresOf } from "./figures.mjs";

/** @typedef {import("./history.d.mts").History} History */
/** @typedef {import("./history.d.mts").Violation} Violation */
/** @typedef {{ history: History, kills: number, pauses: number, seconds: number }} Outcome */

/** How many stories are told in full. */
const STORIES = 5;
const LINES = 20;
/** ms */
const NEARBY = 2_000;

/**
 * Lost, doubled and requeuedTwice count jobs. `others` has everything else that must not be, by its kind.
 * @param {Outcome} outcome
 * @param {readonly Violation[]} violations
 * @param {number} seed
 */
export function verdictOf({ history, kills, pauses, seconds }, violations, seed) {
  const jobsOf = (/** @type {Violation["kind"]} */ kind) =>
    new Set(violations.filter((one) => one.kind === kind).map(({ job }) => job)).size;
  const others = violations.filter(({ kind }) => !["lost", "doubled", "requeuedTwice"].includes(kind));
  return {
    kills,
    pauses,
    jobs: history.plans.size,
    lost: jobsOf("lost"),
    doubled: jobsOf("doubled"),
    requeuedTwice: jobsOf("requeuedTwice"),
    others: tally(others),
    seed,
    seconds,
    ...figuresOf(history),
    claimsOfTheDead: history.leftovers.claimsOfTheDead ?? 0,
  };
}

/** @param {readonly Violation[]} violations */
export const isClean = (violations) => violations.length === 0;

/**
 * @param {History} history
 * @param {readonly Violation[]} violations
 * @returns {string[]}
 */
export function report(history, violations) {
  const lines = violations
    .slice(0, LINES)
    .map(({ kind, job, detail }) => `  ${kind.padEnd(14)} ${job ?? ""}  ${detail}`);
  if (violations.length > LINES) lines.push(`  ... and ${violations.length - LINES} more`);
  const jobs = [...new Set(violations.flatMap(({ job }) => (job === undefined ? [] : [job])))];
  for (const job of jobs.slice(0, STORIES)) lines.push("", ...story(history, job));
  return lines;
}

/* Everything that anybody knows of one job, by time. */
function story(/** @type {History} */ history, /** @type {string} */ id) {
  const { plans, facts, notes, ledger } = history;
  const line = (
    /** @type {number} */ at,
    /** @type {string} */ who,
    /** @type {(string | undefined)[]} */ ...what
  ) => ({
    at,
    text: `${who.padEnd(9)} ${what.filter((part) => part !== undefined).join(" ")}`,
  });
  const own = notes.filter(({ job }) => job === id);
  const involved = new Set(own.map(({ process }) => process));
  const lives = history.lives.filter(({ process }) => involved.has(process));
  const deaths = new Set(lives.flatMap(({ incarnations }) => incarnations));
  const lines = [
    ...facts
      .filter(({ job }) => job === id)
      .map(({ at, what, by, detail }) => line(at, "queue", what, by && `by run ${by.run} of ${by.process}`, detail)),
    ...own.map(({ at, process, what, run }) => line(at, process, what, `run ${run}`)),
    ...ledger
      .filter(({ job }) => job === id)
      .map(({ at, who, type, run, holder, detail }) =>
        line(at, "ledger", type, `run ${run} of ${holder} by ${who}`, detail),
      ),
    ...lives.flatMap(lifeLines),
    ...unseen(facts, own, id).flatMap((at) => bystanders(history.lives, at)),
    ...ledger
      .filter((one) => one.job === undefined && deaths.has(one.who))
      .map(({ at, who, type, detail }) => line(at, "ledger", type, who, detail)),
  ].toSorted((a, b) => a.at - b.at);
  const start = lines[0]?.at ?? 0;
  return [
    `The story of ${id}: ${JSON.stringify(plans.get(id))}`,
    ...lines.map(({ at, text }) => `  ${String(at - start).padStart(7)} ms  ${text}`),
  ];
}

/* When it was handed out and nobody began: who came, left or died in those moments may know. */
/** @param {History["facts"]} facts @param {History["notes"]} notes @param {string} id */
function unseen(facts, notes, id) {
  const started = new Set(notes.filter(({ what }) => what === "started").map(({ run }) => run));
  return facts
    .filter(({ job, what }) => job === id && what === "active")
    .flatMap(({ at }, i) => (started.has(i + 1) ? [] : [at]));
}

/** @param {History["lives"]} lives @param {number} at */
const bystanders = (lives, at) =>
  lives
    .flatMap(lifeLines)
    .filter((line) => Math.abs(line.at - at) < NEARBY)
    .map((line) => ({ ...line, text: `(nearby) ${line.text}` }));

/** @param {import("./history.d.mts").Life} life */
function lifeLines({
  process,
  readyAt,
  incarnations,
  leavingAt,
  killedAt,
  exitedAt,
  exit,
  freezes,
  fencedAt,
  rebornAt,
}) {
  /** @type {[number | undefined, string][]} */
  const moments = [
    [readyAt, `ready as ${incarnations[0] ?? "nobody"}`],
    [leavingAt, "was told to leave"],
    [killedAt, "SIGKILL"],
    [exitedAt, `exited (${exit})`],
    ...freezes.flatMap(({ from, to, kind }) => [
      /** @type {[number | undefined, string]} */ ([from, `SIGSTOP (${kind})`]),
      /** @type {[number | undefined, string]} */ ([to, "SIGCONT"]),
    ]),
    ...fencedAt.map((at) => /** @type {[number, string]} */ ([at, "learned that it was fenced"])),
    ...rebornAt.map((at, i) => /** @type {[number, string]} */ ([at, `was born again as ${incarnations[i + 1]}`])),
  ];
  return moments.flatMap(([at, text]) => (at === undefined ? [] : [{ at, text: `${process.padEnd(9)} ${text}` }]));
}

function tally(/** @type {readonly Violation[]} */ violations) {
  /** @type {Partial<Record<Violation["kind"], number>>} */
  const counts = {};
  for (const { kind } of violations) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
