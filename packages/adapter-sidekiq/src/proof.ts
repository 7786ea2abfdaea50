/* Names of a run. The holder is one life of one process at one time of its work: after a fetch whose answer was lost, or
 * after it was fenced, a process takes a new one. The proof of a run is its holder and its number, which no other run has. */

/** `host:pid:nonce` as Sidekiq names processes, and a number. */
export const holderOf = (identity: string, life: number): string => `${identity}#${life}`;

export const proofOf = (holder: string, run: number): string => `${holder}:${run}`;

export interface Proof {
  readonly holder: string;
  /** Under which the process is listed in Sidekiq's `processes`. */
  readonly identity: string;
  readonly run: number;
}

/** Undefined for what we did not write. */
export function parseProof(proof: string): Proof | undefined {
  const [, holder, identity, run] = /^((.+)#\d+):(\d+)$/s.exec(proof) ?? [];
  return holder === undefined || identity === undefined ? undefined : { holder, identity, run: Number(run) };
}
