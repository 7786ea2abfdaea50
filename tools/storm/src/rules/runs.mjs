/* runs = 1 + retries + what was given back: whenever a job leaves the hands of a worker without an end, somebody must
 * answer for it, and until then nobody else may run it. */
import { wasZombie } from "../case-file.mjs";

/** @typedef {import("../case-file.mjs").JobRule} JobRule */
/** @typedef {import("../case-file.mjs").CaseFile} CaseFile */
/** @typedef {import("../case-file.mjs").FleetRecord} FleetRecord */
/** @typedef {import("../history.d.mts").Life} Life */
/** @typedef {import("../history.d.mts").Note} Note */

/** The clocks of the queue and of a process are read one after the other, ms. */
const SLACK = 250;

/** @type {JobRule} */
export function* unexplained(file, fleet) {
  const { id, facts } = file;
  let run = 0;
  let held = false;
  for (const { what, at } of facts) {
    if (what === "active") {
      if (held)
        yield { kind: "unexplained", job: id, detail: `run ${run + 1} began, and run ${run} had not come back` };
      run++;
    }
    if (what === "returned" && fleet.assured && !isExplained(file, fleet, { run, at })) {
      yield { kind: "unexplained", job: id, detail: `run ${run} came back, and nobody answers for it` };
    }
    held = what === "active";
  }
}

/** @type {JobRule} */
export function* wrongNumbers({ id, facts, notes }) {
  const runs = facts.filter(({ what }) => what === "active").length;
  const starts = new Map();
  for (const { what, run, token, process } of notes) {
    if (what !== "started") continue;
    if (starts.has(run)) {
      yield { kind: "doubled", job: id, detail: `run ${run} was started by ${starts.get(run)} and by ${process}` };
    }
    starts.set(run, process);
    if (token !== undefined && token !== run) {
      yield { kind: "wrongToken", job: id, detail: `run ${run} got the fencing token ${token}` };
    }
    if (run > runs) yield { kind: "untold", job: id, detail: `run ${run} was started, and the queue knows of ${runs}` };
  }
}

/* Two at once are the price of giving up a zombie, or a leaving process whose handler is deaf; nobody else pays it. */
/** @type {JobRule} */
export function* overlap({ id, notes }, fleet) {
  if (!fleet.assured) return;
  const starts = notes.filter(({ what }) => what === "started").toSorted((a, b) => a.run - b.run);
  for (const [i, next] of starts.entries()) {
    const before = starts[i - 1];
    const life = before && fleet.process(before.process);
    if (before === undefined || life === undefined || wasZombie(life) || life.leavingAt !== undefined) continue;
    const end = endOfRun(before, notes) ?? life.killedAt ?? life.exitedAt ?? Number.POSITIVE_INFINITY;
    if (next.at < end) {
      yield {
        kind: "overlap",
        job: id,
        detail: `run ${next.run} began while run ${before.run} went on in ${before.process}`,
      };
    }
  }
}

/** @param {Note} start @param {readonly Note[]} notes */
const endOfRun = (start, notes) =>
  notes.find(({ what, process, run }) => what !== "started" && process === start.process && run === start.run)?.at;

/**
 * @param {CaseFile} file
 * @param {FleetRecord} fleet
 * @param {{ run: number, at: number }} back
 */
function isExplained({ notes, ledger }, fleet, { run, at }) {
  const failed = notes.some((note) => note.run === run && note.what === "threw");
  // Of any kind: when a recoverer dies after the move, the next one may find that the job has ended or gone meanwhile.
  const settled = ledger.some((line) => line.run === run);
  if (failed || settled) return true;
  const start = notes.find((note) => note.run === run && note.what === "started");
  const suspects = start === undefined ? fleet.lives : fleet.lives.filter(({ process }) => process === start.process);
  return suspects.some((life) => mayHandBack(life, at));
}

/* A process that leaves hands its jobs over; one that was fenced sends back what it had fetched under its old name. */
function mayHandBack(/** @type {Life} */ life, /** @type {number} */ at) {
  const end = (life.exitedAt ?? Number.POSITIVE_INFINITY) + SLACK;
  const since = [life.leavingAt, ...life.freezes.filter(({ declared }) => declared).map(({ to }) => to)];
  return since.some((from) => from !== undefined && at >= from - SLACK && at <= end);
}
