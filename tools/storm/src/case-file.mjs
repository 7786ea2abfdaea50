/* All that is known of one job, side by side, and the fleet as the rules ask about it. */

/** @typedef {import("./history.d.mts").History} History */
/** @typedef {import("./history.d.mts").Life} Life */
/** @typedef {import("./history.d.mts").Fact} Fact */
/** @typedef {import("./history.d.mts").Note} Note */
/** @typedef {import("./history.d.mts").LedgerLine} LedgerLine */
/** @typedef {import("./history.d.mts").Plan} Plan */
/** @typedef {{ id: string, plan: Plan | undefined, facts: Fact[], notes: Note[], ledger: LedgerLine[] }} CaseFile */
/** @typedef {ReturnType<typeof fleetOf>} FleetRecord */
/** @typedef {(file: CaseFile, fleet: FleetRecord) => Iterable<import("./history.d.mts").Violation>} JobRule */

/**
 * @param {History} history
 * @returns {Map<string, CaseFile>}
 */
export function caseFiles({ plans, facts, notes, ledger }) {
  /** @type {Map<string, CaseFile>} */
  const files = new Map();
  const file = (/** @type {string} */ id) => {
    const found = files.get(id) ?? { id, plan: plans.get(id), facts: [], notes: [], ledger: [] };
    files.set(id, found);
    return found;
  };
  for (const id of plans.keys()) file(id);
  for (const fact of facts) file(fact.job).facts.push(fact);
  for (const note of notes) file(note.job).notes.push(note);
  for (const line of ledger) if (line.job !== undefined) file(line.job).ledger.push(line);
  return files;
}

/** @param {History} history */
export function fleetOf({ assured, lives, ledger }) {
  const byProcess = new Map(lives.map((life) => [life.process, life]));
  const byIncarnation = new Map(lives.flatMap((life) => life.incarnations.map((incarnation) => [incarnation, life])));
  const deaths = new Map(ledger.filter(({ type }) => type === "instance.dead").map((line) => [line.who, line]));
  return {
    assured,
    lives,
    deaths,
    process: (/** @type {string} */ process) => byProcess.get(process),
    incarnation: (/** @type {string | undefined} */ incarnation) => byIncarnation.get(incarnation ?? ""),
  };
}

/** The end that the queue accepted, as its record has it. */
export const isEnd = (/** @type {Fact} */ { what }) => what === "completed" || what === "failed";

/** Under how many of its incarnations it was declared dead: one that was frozen again before it knew of its death died once. */
export const deathsOf = (/** @type {Pick<Life, "freezes">} */ { freezes }) =>
  new Set(freezes.filter(({ declared }) => declared).map(({ incarnation }) => incarnation)).size;

/** Whether it was frozen until the others had declared it dead. */
export const wasZombie = (/** @type {Life | undefined} */ life) =>
  life?.freezes.some(({ declared }) => declared === true) ?? false;
