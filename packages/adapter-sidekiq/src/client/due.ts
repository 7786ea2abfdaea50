/* When a job is due, by Ruby's rule: a number below 1e9 counts from now, any other is seconds since 1970, and what is
 * due already goes to its queue at once. */
import { isMilliseconds } from "../wire/timestamps.ts";
import { refusal } from "../refusal.ts";

const INTERVALS_BELOW = 1_000_000_000;

/**
 * Seconds since 1970, or undefined for at once. `now` is ms.
 *
 * @throws AssuranceError ERR_OPTION for what is no time, and for milliseconds.
 */
export function dueAt(at: unknown, now: number): number | undefined {
  if (at === undefined) return undefined;
  const seconds = at instanceof Date ? at.getTime() / 1_000 : at;
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) throw refusal("at", "a Date or finite seconds", at);
  if (isMilliseconds(seconds)) throw refusal("at", "a Date or seconds since 1970, not milliseconds", at);
  const due = seconds < INTERVALS_BELOW && !(at instanceof Date) ? now / 1_000 + seconds : seconds;
  return due * 1_000 > now ? due : undefined;
}
