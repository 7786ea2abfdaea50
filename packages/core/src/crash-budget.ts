/* Whose fault was it? A process that dies kills every job in it, and one of them may be the reason.
 *
 * The first death of a job proves nothing: it goes back at once. From the second on it is a suspect: suspects come back
 * one at a time, the others are parked, so that the next death has one suspect only. A job is buried when its budget is
 * spent and no other suspect was in flight at its last death: then it, and nobody else, was there each time.
 */
import type { Incarnation } from "./instance.ts";
import type { Case } from "./store.ts";

export type Verdict =
  | { readonly kind: "requeue" } // first death, or one that is not charged
  | { readonly kind: "suspect" } // back alone: out when no other suspect is, else parked
  | { readonly kind: "bury"; readonly reason: string };

/** A case, and whether the death that opened it counts. */
export interface ChargedCase extends Case {
  readonly charged: boolean;
  /** It was open before this pass: of those who died with it, some may have gone back already. */
  readonly again: boolean;
}

const LEAST_DELAY = 1_000;
const MOST_DELAY = 30_000;
/** A parked suspect becomes due by itself after this long, should nobody be left to let it out. */
export const PARKED_FOR = 300_000;

/**
 * Verdicts for cases of one queue that were opened together, in the same order.
 * @param out the suspect of the queue that may run at this moment, if there is one
 */
export function judge(cases: readonly ChargedCase[], maxRecoveries: number, out?: string): readonly Verdict[] {
  const suspects = new Map<Incarnation, number>();
  for (const one of cases) {
    if (isSuspect(one)) suspects.set(one.orphan.holder, (suspects.get(one.orphan.holder) ?? 0) + 1);
  }
  return cases.map((one): Verdict => {
    if (!isSuspect(one)) return { kind: "requeue" };
    const mayHaveCompany = one.again && out !== undefined && out !== one.orphan.id;
    const alone = suspects.get(one.orphan.holder) === 1 && !mayHaveCompany;
    if (one.deaths <= maxRecoveries || !alone) return { kind: "suspect" };
    return { kind: "bury", reason: `its process died ${one.deaths} times while it ran; ${maxRecoveries} are allowed` };
  });
}

const isSuspect = ({ charged, deaths }: ChargedCase): boolean => charged && deaths > 1;

/** How long a suspect waits before it runs again: 1, 2, 4 ... 30 s. */
export function delayOf(deaths: number): number {
  return Math.min(LEAST_DELAY * 2 ** Math.max(0, deaths - 2), MOST_DELAY);
}
