/* Whose fault was it? A process that dies kills every job in it, and one of them may be the reason.
 *
 * The first death of a job proves nothing: it goes back at once. From the second on it is a suspect: suspects come back
 * one at a time, the others are parked, so that the next death has one suspect only. A job is buried when its budget is
 * spent and no other suspect, of whatever queue, was in flight at its last death: then it, and nobody else, was there
 * each time. As long as not every queue of that process was looked through, nobody is buried for its death.
 */
import type { Case, Company, Death } from "./store.ts";

export type Verdict =
  | { readonly kind: "requeue" } // first death, or one that is not charged
  | { readonly kind: "suspect" } // back alone: out when no other suspect is, else parked
  | { readonly kind: "wait" } // its budget is spent, and who else died with it is not known yet
  | { readonly kind: "bury"; readonly reason: string };

/** A case, and whether the death that opened it counts. */
export interface ChargedCase extends Case {
  readonly charged: boolean;
}

const LEAST_DELAY = 1_000;
/** The longest that a suspect is put off, ms. */
export const MOST_DELAY = 30_000;
/** A parked suspect becomes due by itself after this long, should nobody be left to let it out. */
export const PARKED_FOR = 300_000;
/** Observed time after a death within which the other queues of its process are waited for, ms. */
const SURVEYED_WITHIN = 10_000;

/** Whether so many deaths are more than one job may cause: then it matters who else was there. */
export function isSpent({ charged, deaths }: ChargedCase, maxRecoveries: number): boolean {
  return charged && deaths > 1 && deaths > maxRecoveries;
}

/** What to do with one case. `company`: who died with it, asked only when its budget is spent. */
export function judge(one: ChargedCase, maxRecoveries: number, company: Company | "unknown"): Verdict {
  if (!one.charged || one.deaths <= 1) return { kind: "requeue" };
  if (!isSpent(one, maxRecoveries)) return { kind: "suspect" };
  if (company === "unknown") return { kind: "wait" };
  if (company.suspects > 1) return { kind: "suspect" };
  return { kind: "bury", reason: `its process died ${one.deaths} times while it ran; ${maxRecoveries} are allowed` };
}

/** Whether all who died with a process are known, or have been waited for long enough. */
export function isComplete({ surveyed }: Company, { registration, observed }: Death, now: number): boolean {
  if (now - observed >= SURVEYED_WITHIN) return true;
  const served = Object.entries(registration.holders).filter(([, ids]) => ids.length > 0);
  return served.every(([queue]) => surveyed.includes(queue));
}

/** How long a suspect waits before it runs again: 1, 2, 4 ... 30 s. */
export function delayOf(deaths: number): number {
  return Math.min(LEAST_DELAY * 2 ** Math.max(0, deaths - 2), MOST_DELAY);
}
