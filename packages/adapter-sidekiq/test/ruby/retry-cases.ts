/* Payloads that fail, by what is special about them; and how the end of one is written down, so that those of two sides
 * can be held against each other. */
import { inflateSync } from "node:zlib";
import { jobText } from "./support.ts";

type Fields = Readonly<Record<string, unknown>>;

export interface FailureCase {
  readonly name: string;
  readonly fields: Fields;
}

const AN_HOUR_AGO = Math.floor(Date.now() / 1_000) - 3_600 + 0.25;

const failed = (times: number): Fields => ({
  error_message: "before",
  error_class: "RuntimeError",
  failed_at: AN_HOUR_AGO,
  retry_count: times - 1,
  ...(times > 1 ? { retried_at: AN_HOUR_AGO } : {}),
});

const CASES: Readonly<Record<string, Fields>> = {
  "retry: true": {},
  "retry: false": { retry: false },
  "retry: 0": { retry: 0 },
  "retry: 1": { retry: 1 },
  "retry: 3": { retry: 3 },
  "retry missing": { retry: undefined },
  "retry: null": { retry: null },
  "retry missing, of a class with 0": { retry: undefined, class: "FailNowJob" },
  "retry missing, of a class with false": { retry: undefined, class: "NoRetryJob" },
  "retry: true, of a class with 0": { class: "FailNowJob" },
  "retry: 3, failed once": { retry: 3, ...failed(1) },
  "retry: 3, failed twice": { retry: 3, ...failed(2) },
  "retry: 3, its last one": { retry: 3, ...failed(3) },
  "retry: true, failed 24 times": failed(24),
  "retry: true, its last one": failed(25),
  "put back by a person": { ...failed(1), retry_count: -1 },
  "dead: false, its last one": { retry: 0, dead: false },
  "dead: false, not its last one": { dead: false },
  "dead: true, its last one": { retry: 0, dead: true },
  "dead: false, retry: false": { retry: false, dead: false },
  retry_queue: { retry_queue: "low" },
  "retry_queue, its last one": { retry_queue: "low", retry: 0 },
  "backtrace: true": { backtrace: true },
  "backtrace: 1": { backtrace: 1 },
  "backtrace: 0": { backtrace: 0 },
  "backtrace: false": { backtrace: false },
  "further fields": { tags: ["a", "b"], cattr: { locale: "de" }, at_work: 1.5, nothing: null },
  "retryIn: a number": { class: "RetryInJob", args: ["40", "ArgumentError"] },
  "retryIn: a number, failed twice": { class: "RetryInJob", args: ["40", "ArgumentError"], ...failed(2) },
  "retryIn: nothing of use": { class: "RetryInJob", args: ["soon", "ArgumentError"] },
};

/** Sidekiq 6.4 knows none of it. */
const SINCE_7: Readonly<Record<string, Fields>> = {
  "retry_for, at first": { retry_for: 60 },
  "retry_for, in time": { retry_for: 7_200, ...failed(3) },
  "retry_for, too late": { retry_for: 60, ...failed(3) },
  "retry_for, too late, dead: false": { retry_for: 60, dead: false, ...failed(3) },
  "retryIn: kill": { class: "KillJob" },
  "retryIn: discard": { class: "DiscardJob" },
  "retryIn: discard, its last one": { class: "DiscardJob", retry: 0 },
};

const MILLISECONDS = { failed_at: Math.round(AN_HOUR_AGO * 1_000) };
const SINCE_8: Readonly<Record<string, Fields>> = {
  "retry_for, in time, by milliseconds": { retry_for: 7_200, ...failed(1), ...MILLISECONDS },
  "retry_for, too late, by milliseconds": { retry_for: 60, ...failed(1), ...MILLISECONDS },
};

export function casesOf(version: number): readonly FailureCase[] {
  const cases = { ...CASES, ...(version > 6 ? SINCE_7 : {}), ...(version > 7 ? SINCE_8 : {}) };
  return Object.entries(cases).map(([name, fields]) => ({ name, fields }));
}

/** On either side every job has a jid and a queue of its own, and all else the same. */
export const textOf = ({ fields }: FailureCase, side: string, nth: number): string =>
  jobText({ class: "FailJob", args: ["boöm", "ArgumentError"], queue: side, jid: jidOf(side, nth), ...fields });

export const jidOf = (side: string, nth: number): string => `${side}-${String(nth).padStart(2, "0")}`;

/** A text without what is of its side and its time: `now` is when it failed, by the type that it is written in. */
export function comparable(text: string, side: string): string {
  const given = [AN_HOUR_AGO, MILLISECONDS.failed_at].map(String);
  const kind = (time: string): string => (time.includes(".") ? "float" : "integer");
  return text
    .replaceAll(side, "side")
    .replaceAll(/"(\w+ed_at)":([\d.]+)/g, (whole, field: string, time: string) =>
      given.includes(time) || time.startsWith("179545") ? whole : `"${field}":now, a ${kind(time)}`,
    )
    .replace(/"error_backtrace":("[^"]*")/, (_, packed: string) => `"error_backtrace":${linesOf(packed)}`);
}

/* How long a trace is depends on who made it. */
function linesOf(packed: string): string {
  const lines = JSON.parse(inflateSync(Buffer.from(JSON.parse(packed) as string, "base64")).toString()) as string[];
  return lines.length > 1 ? "several lines" : `${lines.length} lines`;
}

/** Whether a retry comes when Sidekiq's formula says: after 15 s + count^4, or what `retryIn` said, and up to the longest jitter. */
export function isInTime(text: string, score: number): boolean {
  const job = JSON.parse(text) as Readonly<Record<string, number>> & { class: string; args: [string] };
  const count = job["retry_count"]!;
  const failedAt = job["retried_at"] ?? job["failed_at"]!;
  const wait = score - (failedAt > 1e11 ? failedAt / 1_000 : failedAt);
  const wanted = job.class === "RetryInJob" ? Number.parseInt(job.args[0], 10) + count : Number.NaN;
  const least = wanted > 0 ? wanted : count ** 4 + 15;
  return wait > least - 0.01 && wait < least + 10 * (count + 1) + 1;
}
