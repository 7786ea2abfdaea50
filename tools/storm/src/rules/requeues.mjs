/* How a job may come back: for each death of its holder once, by a line in the ledger that tells the truth. */
import { isEnd, wasZombie } from "../case-file.mjs";

/** @typedef {import("../case-file.mjs").JobRule} JobRule */
/** @typedef {import("../history.d.mts").LedgerLine} LedgerLine */

/** @type {JobRule} */
export function* requeuedTwice({ id, facts, ledger }, fleet) {
  const recovered = ledger.filter(isRecovery);
  for (const [run, lines] of grouped(recovered, ({ run: number }) => number)) {
    if (lines.length > 1)
      yield { kind: "requeuedTwice", job: id, detail: `run ${run} was given back ${lines.length} times` };
  }
  for (const [holder, lines] of grouped(recovered, ({ holder: incarnation }) => incarnation)) {
    const life = fleet.incarnation(holder);
    // A zombie that thaws may fetch the job again before it knows: a second run, and a second time to give back.
    if (lines.length > 1 && !wasZombie(life)) {
      yield {
        kind: "requeuedTwice",
        job: id,
        detail: `it was given back ${lines.length} times for one death, of ${holder}`,
      };
    }
  }
  for (const [i, { what }] of facts.entries()) {
    if (what === "returned" && facts[i - 1]?.what === "returned") {
      yield { kind: "requeuedTwice", job: id, detail: "it was put back while it was back already" };
    }
  }
}

/* A line about a run is true when that run came back, and its holder was dead or left. */
/** @type {JobRule} */
export function* toldWrongly({ id, facts, ledger }, fleet) {
  for (const line of ledger.filter(isRecovery)) {
    const after = afterRun(facts, line.run ?? 0);
    if (after !== "returned") {
      yield {
        kind: "untold",
        job: id,
        detail: `the ledger says that run ${line.run} was given back, the queue says: ${after}`,
      };
    }
    const left = line.holder === line.who && fleet.incarnation(line.holder)?.leavingAt !== undefined;
    if (!left && !fleet.deaths.has(line.holder ?? "")) {
      yield {
        kind: "untold",
        job: id,
        detail: `run ${line.run} was taken from ${line.holder}, of whose death the ledger knows nothing`,
      };
    }
  }
}

/** What the queue recorded after the n-th time that it was handed out. */
/** @param {readonly import("../history.d.mts").Fact[]} facts @param {number} run */
function afterRun(facts, run) {
  let active = 0;
  const at = facts.findIndex(({ what }) => what === "active" && ++active === run);
  if (at < 0) return "it was never handed out";
  const next = facts.slice(at + 1).find((fact) => fact.what === "active" || fact.what === "returned" || isEnd(fact));
  return next?.what ?? "nothing";
}

export const isRecovery = (/** @type {LedgerLine} */ { type }) => type === "orphan.recovered";

/**
 * @template T
 * @param {readonly LedgerLine[]} lines
 * @param {(line: LedgerLine) => T} key
 */
function grouped(lines, key) {
  /** @type {Map<T, LedgerLine[]>} */
  const groups = new Map();
  for (const line of lines) groups.set(key(line), [...(groups.get(key(line)) ?? []), line]);
  return groups;
}
