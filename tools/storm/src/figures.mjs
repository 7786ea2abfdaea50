/* What a storm did, in figures: how many kills met work, and how long it took until that work went on. */
import { isRecovery } from "./rules/requeues.mjs";

/** @typedef {import("./history.d.mts").History} History */
/** @typedef {import("./history.d.mts").Life} Life */

/** @param {History} history */
export function figuresOf(history) {
  const killed = history.lives.filter(({ killedAt, exit }) => killedAt !== undefined && exit === "SIGKILL");
  const open = openRuns(history);
  const struck = killed.map((life) => ({ life, runs: open.get(life.process) ?? [] }));
  const freezes = history.lives.flatMap((life) => life.freezes);
  return {
    killsInMidJob: struck.filter(({ runs }) => runs.length > 0).length,
    zombies: freezes.filter(({ declared }) => declared).length,
    left: history.lives.filter(({ leavingAt }) => leavingAt !== undefined).length,
    processes: history.lives.length,
    requeued: history.ledger.filter(isRecovery).length,
    rerunMs: spread(reruns(history, struck)),
  };
}

/* Runs whose handler had begun and had not ended when its process was gone. */
function openRuns(/** @type {History} */ { notes }) {
  /** @type {Map<string, Map<string, { job: string, run: number }>>} */
  const open = new Map();
  for (const { process, job, run, what } of notes) {
    const runs = open.get(process) ?? new Map();
    open.set(process, runs);
    if (what === "started") runs.set(`${run} ${job}`, { job, run });
    else runs.delete(`${run} ${job}`);
  }
  return new Map([...open].map(([process, runs]) => [process, [...runs.values()]]));
}

/**
 * From a SIGKILL until the job is handed out again, for every job that a kill met in mid-run.
 * @param {History} history
 * @param {readonly { life: Life, runs: readonly { job: string, run: number }[] }[]} struck
 */
function reruns({ facts }, struck) {
  /** @type {Map<string, number[]>} */
  const handedOut = new Map();
  for (const { job, what, at } of facts) if (what === "active") handedOut.set(job, [...(handedOut.get(job) ?? []), at]);
  return struck.flatMap(({ life, runs }) =>
    runs.flatMap(({ job, run }) => {
      const again = handedOut.get(job)?.[run];
      return again === undefined ? [] : [again - (life.killedAt ?? again)];
    }),
  );
}

function spread(/** @type {number[]} */ times) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (/** @type {number} */ share) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return { n: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}
