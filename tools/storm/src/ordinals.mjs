/* The checker knows the runs of a job as first, second, third. A queue may count otherwise, e.g. all runs of the queue;
 * then its record says how (`run` of a fact that something became active), and everything else is put in these terms. */

/** @typedef {import("./history.d.mts").History} History */
/** @typedef {Pick<History, "facts" | "notes" | "ledger">} Told */

/** No run of this job that the queue knows has that number. */
const UNKNOWN = 1_000_000_000;

/** @param {Told} told @returns {Told} */
export function inOrdinals({ facts, notes, ledger }) {
  /** @type {Map<string, Map<number, number>>} */
  const jobs = new Map();
  for (const { job, what, run } of facts) {
    if (what !== "active" || run === undefined) continue;
    const known = jobs.get(job) ?? new Map();
    jobs.set(job, known.set(run, known.size + 1));
  }
  const ordinal = (/** @type {string | undefined} */ job, /** @type {number} */ run) => {
    const known = jobs.get(job ?? "");
    return known === undefined ? run : (known.get(run) ?? UNKNOWN + run);
  };
  return {
    facts: facts.map((fact) =>
      fact.by === undefined ? fact : { ...fact, by: { ...fact.by, run: ordinal(fact.job, fact.by.run) } },
    ),
    notes: notes.map((note) => ({
      ...note,
      run: ordinal(note.job, note.run),
      ...(note.token === undefined ? {} : { token: ordinal(note.job, note.token) }),
    })),
    ledger: ledger.map((line) => (line.run === undefined ? line : { ...line, run: ordinal(line.job, line.run) })),
  };
}
