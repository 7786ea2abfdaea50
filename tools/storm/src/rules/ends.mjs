/* How a job must end: once, as planned, by the run that held it last, and never to be touched again. */
import { isEnd } from "../case-file.mjs";

/** @typedef {import("../case-file.mjs").JobRule} JobRule */
/** @typedef {import("../history.d.mts").Violation} Violation */

/** @type {JobRule} */
export function* lost({ id, plan, facts }) {
  if (plan === undefined) {
    yield { kind: "unexplained", job: id, detail: "the queue knows a job that nobody added" };
    return;
  }
  const end = facts.find(isEnd);
  if (end === undefined) {
    yield {
      kind: "lost",
      job: id,
      detail: `it never ended; the last that the queue recorded: ${facts.at(-1)?.what ?? "nothing"}`,
    };
  } else if (end.what !== plan.end) {
    yield { kind: "lost", job: id, detail: `it ${end.what} instead of ${plan.end}: ${end.detail ?? "by its handler"}` };
  } else if (end.by === undefined) {
    yield { kind: "unexplained", job: id, detail: `it ${end.what} by nobody's hand: ${end.detail}` };
  }
}

/** @type {JobRule} */
export function* doubled({ id, facts, notes }) {
  const ends = facts.filter(isEnd);
  if (ends.length > 1) {
    yield {
      kind: "doubled",
      job: id,
      detail: `its end was accepted ${ends.length} times: ${ends.map(signed).join(", ")}`,
    };
  }
  const owners = new Set(notes.filter((note) => acceptedAfter("returned", note, notes)).map(signature));
  if (owners.size > 1) {
    yield {
      kind: "doubled",
      job: id,
      detail: `more than one run was told that its end was accepted: ${[...owners].join(", ")}`,
    };
  }
}

/* One failure may be accepted for each attempt, whoever reports it. */
/** @type {JobRule} */
export function* failedTwice({ id, plan, notes }) {
  if (plan === undefined) return;
  const attempts = notes.flatMap(({ what, attempt }) => (what === "started" ? [attempt ?? 0] : []));
  const most = Math.max(0, ...attempts);
  if (most > plan.fails) {
    yield {
      kind: "doubled",
      job: id,
      detail: `${most} failed attempts were accepted, it fails only ${plan.fails} times`,
    };
  }
  const last = lastStart(notes)?.attempt ?? 0;
  if (last < most) yield { kind: "unexplained", job: id, detail: "an accepted failure was forgotten" };
}

/** @type {JobRule} */
export function* staleEnd({ id, facts, notes }) {
  const at = facts.findIndex(isEnd);
  const by = facts[at]?.by;
  if (by === undefined) return;
  const runs = facts.slice(0, at).filter(({ what }) => what === "active").length;
  if (by.run !== runs) {
    yield {
      kind: "staleEnd",
      job: id,
      detail: `run ${by.run} of ${by.process} was accepted, but run ${runs} held the job`,
    };
  }
  const started = notes.some(
    ({ what, process, run }) => what === "started" && process === by.process && run === by.run,
  );
  if (!started)
    yield { kind: "unexplained", job: id, detail: `${by.process} ended run ${by.run} and never started it` };
}

/** @type {JobRule} */
export function* ranAfterEnd({ id, facts }) {
  const at = facts.findIndex(isEnd);
  if (at < 0) return;
  const after = facts.slice(at + 1).find(({ what }) => what === "active" || what === "returned");
  if (after !== undefined)
    yield { kind: "ranAfterEnd", job: id, detail: `it was ${after.what} after it had ${facts[at]?.what}` };
}

/** @param {import("../history.d.mts").Note} note @param {readonly import("../history.d.mts").Note[]} notes @param {string} before */
const acceptedAfter = (before, note, notes) =>
  note.what === "accepted" && notes.some((other) => other.what === before && signature(other) === signature(note));

const lastStart = (/** @type {readonly import("../history.d.mts").Note[]} */ notes) =>
  notes
    .filter(({ what }) => what === "started")
    .toSorted((a, b) => a.run - b.run)
    .at(-1);

const signature = (/** @type {{ process: string, run: number }} */ { process, run }) => `run ${run} of ${process}`;

const signed = (/** @type {import("../history.d.mts").Fact} */ { what, by, detail }) =>
  `${what} by ${by === undefined ? detail : signature(by)}`;
