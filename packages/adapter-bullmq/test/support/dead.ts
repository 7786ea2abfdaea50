import type { Claim, DeadHolder, Fleet, Orphan } from "@assured-jobs/core";

/** A dead incarnation that held jobs under `ids`. */
export const dead = (...ids: readonly string[]): DeadHolder => ({ incarnation: `dead.${ids[0]}`, ids, claims: [] });

export const claimed = (holder: DeadHolder, ...claims: readonly Claim[]): DeadHolder => ({ ...holder, claims });

export interface FleetParts {
  readonly observed?: number;
  readonly living?: readonly string[];
  readonly mute?: readonly string[];
}

export const fleet = ({ observed = 0, living = [], mute = [] }: FleetParts = {}): Fleet => ({
  observed,
  living: new Set([...living, ...mute]),
  mute: new Set(mute),
});

export const claimOf = ({ queue, id, run, proof }: Orphan): Claim => ({ queue, id, run, proof, since: 0 });
