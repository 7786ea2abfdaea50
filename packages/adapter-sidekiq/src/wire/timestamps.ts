/* Times in a payload. Sidekiq 6 and 7 write float seconds, 8 writes integer milliseconds, and every reader decides by
 * the JSON type: an integer number of seconds would be read as 1970. So seconds always carry a decimal point. */
import { floatText } from "./ruby-float.ts";

/** `s`: float seconds, which all versions read. `ms`: integer milliseconds, which only Sidekiq 8 reads. */
export type TimestampUnit = "s" | "ms";

/** A time (ms since 1970) as JSON text. */
export function timestamp(ms: number, unit: TimestampUnit): string {
  if (unit === "ms") return String(Math.round(ms));
  return secondsText(ms);
}

/** Seconds with a decimal point, as scores and payloads have them: `1795456983.0`, `1795456983.993`. */
export function secondsText(ms: number): string {
  return floatText(ms / 1_000);
}

/** ms since 1970 of a time in a payload, whichever Sidekiq wrote it. Undefined for anything but a number. */
export function readTimestamp(value: unknown): number | undefined {
  if (typeof value !== "number") return undefined;
  return isMilliseconds(value) ? value : value * 1_000;
}

/** A time of a payload, written anew in another unit. In its own unit it keeps every digit. */
export function restamp(value: number, unit: TimestampUnit): string {
  if (unit === "s" && !isMilliseconds(value)) return floatText(value);
  return timestamp(isMilliseconds(value) ? value : value * 1_000, unit);
}

/** Whether a time can only be milliseconds: as seconds it would be after the year 5138. */
export const isMilliseconds = (value: number): boolean => value > MILLISECONDS_FROM;

const MILLISECONDS_FROM = 1e11;
