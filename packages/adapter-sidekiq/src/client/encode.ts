/* From a job to what is stored: its text and, when it is for later, its score. All that can be wrong with a job is found
 * here, before anything is sent. */
import { toJson } from "../wire/json.ts";
import { restamp, secondsText, timestamp } from "../wire/timestamps.ts";
import type { TimestampUnit } from "../wire/timestamps.ts";
import { assertWhole } from "./draft.ts";
import type { Draft } from "./draft.ts";
import { assertReadable, assertStrict } from "./strict-args.ts";

export interface Encoding {
  readonly strictArgs: boolean;
  readonly timestamps: TimestampUnit;
}

/** A job as Redis keeps it: in its queue, or in the schedule when it has a score. */
export interface Encoded {
  readonly queue: string;
  readonly text: string;
  /** Seconds since 1970. */
  readonly score: string | undefined;
}

/** Times that Ruby writes; their type tells readers the unit, so they are never written as they come. */
const TIMES = new Set(["created_at", "failed_at", "retried_at"]);
/** `at` becomes the score, `enqueued_at` is what this push makes it. */
const NOT_WRITTEN = new Set(["at", "enqueued_at"]);
const ADVICE = " strictArgs: false sends what JSON.stringify makes of it.";

function textOf(field: string, value: unknown, timestamps: TimestampUnit): string | undefined {
  if (TIMES.has(field) && typeof value === "number") return restamp(value, timestamps);
  const text = toJson(value, field);
  if (text !== undefined) assertReadable(text, field);
  return text;
}

/** @throws AssuranceError ERR_OPTION when the job is wrong, or not what its worker would get. */
export function encode(draft: Draft, { strictArgs, timestamps }: Encoding, now: number): Encoded {
  assertWhole(draft);
  const members: string[] = [];
  for (const [field, value] of draft.fields()) {
    if (NOT_WRITTEN.has(field)) continue;
    if (strictArgs) assertStrict(value, field, ADVICE);
    const text = textOf(field, value, timestamps);
    if (text !== undefined) members.push(`${JSON.stringify(field)}:${text}`);
  }
  const { at, queue } = draft;
  if (at === undefined) members.push(`"enqueued_at":${timestamp(now, timestamps)}`);
  return { queue, text: `{${members.join(",")}}`, score: at === undefined ? undefined : secondsText(at * 1_000) };
}
