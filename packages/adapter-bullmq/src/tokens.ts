/* Lock values. BullMQ's are `<worker id>:<counter>`; the part before the last colon says who holds the job. The token
 * belongs to a concurrency slot, not to a run, so runs are told apart by (job id, attemptsStarted). */
import { randomUUID } from "node:crypto";

const ADOPTION = "assured-jobs-adoption";

/** How long a lock lives that a recoverer put on a job whose own lock had lapsed. A crash leaves it that long. */
export const ADOPTION_TTL = 5_000;

/** A token that nobody else has. */
export const adoptionToken = (): string => `${ADOPTION}:${randomUUID()}`;

export const isAdoption = (token: string): boolean => token.startsWith(`${ADOPTION}:`);

/** How our scripts know the lock of a recoverer. */
export const ADOPTION_PREFIX: string = `${ADOPTION}:`;

export function holderOf(token: string): string {
  const end = token.lastIndexOf(":");
  return end < 0 ? token : token.slice(0, end);
}
