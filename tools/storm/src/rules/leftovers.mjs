/* When everything is over, nothing may be left of it: no lock, no open case, no claim, nobody in quarantine. */
import { isEnd } from "../case-file.mjs";

/** @typedef {import("../history.d.mts").History} History */
/** @typedef {import("../history.d.mts").Violation} Violation */

/**
 * @param {History} history
 * @returns {Generator<Violation>}
 */
export function* leftover({ leftovers, plans, facts }) {
  const { unfinished, kept, forgetsCompleted = false, locks, store = {}, findings = [] } = leftovers;
  for (const [state, count] of Object.entries(unfinished)) {
    if (count > 0) yield { kind: "leftover", detail: `${count} jobs are ${state}` };
  }
  if (locks.length > 0) yield { kind: "leftover", detail: `${locks.length} locks, such as ${locks[0]}` };
  for (const [what, count] of Object.entries(store)) {
    if (count > 0) yield { kind: "leftover", detail: `${count} ${what} in the store` };
  }
  for (const finding of findings) yield { kind: "leftover", detail: `the audit found ${finding}` };
  const expected = new Set(
    facts.filter((fact) => isEnd(fact) && isKept(plans.get(fact.job), fact, forgetsCompleted)).map(({ job }) => job),
  ).size;
  if (kept !== expected)
    yield { kind: "untold", detail: `the queue keeps ${kept} ended jobs, its record tells of ${expected}` };
}

/**
 * @param {import("../history.d.mts").Plan | undefined} plan
 * @param {import("../history.d.mts").Fact} fact
 * @param {boolean} forgetsCompleted
 */
const isKept = (plan, { what }, forgetsCompleted) =>
  what === "failed" || (!forgetsCompleted && plan?.options.removeWhenCompleted !== true);
