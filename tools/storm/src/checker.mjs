/* Judges a storm by what it left behind. A pure function of the history, so that it can itself be tested with histories
 * in which each thing goes wrong. Each rule stands alone: what one of them overlooks, another sees from its own side. */
import { caseFiles, fleetOf } from "./case-file.mjs";
import { doubled, failedTwice, lost, ranAfterEnd, staleEnd } from "./rules/ends.mjs";
import { leftover } from "./rules/leftovers.mjs";
import { crashed, falseDeath, notReborn, unnoticed } from "./rules/processes.mjs";
import { requeuedTwice, toldWrongly } from "./rules/requeues.mjs";
import { overlap, unexplained, wrongNumbers } from "./rules/runs.mjs";

/** @typedef {import("./history.d.mts").History} History */
/** @typedef {import("./history.d.mts").Violation} Violation */

const JOB_RULES = [
  lost,
  doubled,
  failedTwice,
  staleEnd,
  ranAfterEnd,
  requeuedTwice,
  toldWrongly,
  unexplained,
  wrongNumbers,
  overlap,
];
const FLEET_RULES = [falseDeath, unnoticed, notReborn, crashed];

/**
 * Everything that must not be.
 * @param {History} history
 * @returns {Violation[]}
 */
export function check(history) {
  const fleet = fleetOf(history);
  /** @type {Violation[]} */
  const violations = [];
  for (const file of caseFiles(history).values()) {
    for (const rule of JOB_RULES) violations.push(...rule(file, fleet));
  }
  if (history.assured) for (const rule of FLEET_RULES) violations.push(...rule(fleet));
  violations.push(...leftover(history));
  return violations;
}
