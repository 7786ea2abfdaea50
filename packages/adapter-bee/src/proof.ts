/* What stands in the record of owners: who holds a job, by which of its fetches, and in which run.
 *
 * `holder:fetch:run`. A process numbers its fetches, and never twice alike; so a proof stays unique even when an old
 * copy of the data was restored and the counter of runs went back.
 */
export interface Proof {
  readonly holder: string;
  readonly run: number;
}

/** Undefined for what is none. */
export function parseProof(text: string): Proof | undefined {
  const [, holder, run] = /^([^:]+):\d+:(\d+)$/.exec(text) ?? [];
  return holder === undefined ? undefined : { holder, run: Number(run) };
}
