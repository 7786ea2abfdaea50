/* What becomes of a job that failed, as Sidekiq's job_retry.rb has it: the fields it gets, and where it goes.
 *
 * Only the text of the payload is edited, so that everything else of it comes back to Ruby as Ruby wrote it. */
import { deflateSync } from "node:zlib";
import type { Payload } from "../wire/payload.ts";
import { readTimestamp, timestamp } from "../wire/timestamps.ts";
import type { TimestampUnit } from "../wire/timestamps.ts";
import type { SidekiqJobClass } from "./handlers.ts";
import type { SidekiqJob } from "./job.ts";

const MOST_RETRIES = 25;
const LONGEST_MESSAGE = 10_000;
/** As Ruby has it. */
const NO_MESSAGE = "!!! ERROR MESSAGE THREW AN ERROR !!!";

/** `at`: `drop` leaves nothing; `isDead`: death handlers hear of it. */
export type Fate =
  | { readonly kind: "retry"; readonly text: string; readonly delay: number }
  | { readonly kind: "dead"; readonly text: string; readonly isDead: true }
  | { readonly kind: "drop"; readonly isDead: boolean };

export interface RetryRules {
  readonly unit: TimestampUnit;
  /** Sidekiq 8 draws its jitter otherwise. */
  readonly sidekiq: number;
  readonly jobClass: SidekiqJobClass | undefined;
  /** What callbacks throw changes nothing. */
  readonly tell: (error: unknown) => void;
}

export async function fateOf(job: SidekiqJob, error: unknown, rules: RetryRules): Promise<Fate> {
  const { payload } = job;
  const retry = payload.get("retry") ?? rules.jobClass?.retry ?? true;
  if (retry === false) return { kind: "drop", isDead: true };
  const count = job.attempt;
  const now = Date.now();
  const text = payload.with(failureFields(job, error, { now, unit: rules.unit, retry }));
  const isOver = count >= (typeof retry === "number" ? retry : MOST_RETRIES) || isTooLate(payload, now);
  const delay = isOver ? "kill" : delayOf(count, error, { job, rules });
  if (delay === "discard") return discarded(rules);
  if (delay !== "kill") return { kind: "retry", text, delay: delay + jitter(count, rules.sidekiq) };
  return exhausted(job, error, { rules, text });
}

async function exhausted(
  job: SidekiqJob,
  error: unknown,
  { rules, text }: { rules: RetryRules; text: string },
): Promise<Fate> {
  try {
    if ((await rules.jobClass?.retriesExhausted?.(job, error)) === "discard") return discarded(rules);
  } catch (thrown) {
    rules.tell(thrown);
  }
  return job.payload.get("dead") === false ? { kind: "drop", isDead: true } : { kind: "dead", text, isDead: true };
}

/* Since Sidekiq 8 death handlers hear of it as well. */
const discarded = ({ sidekiq }: RetryRules): Fate => ({ kind: "drop", isDead: sidekiq >= 8 });

function delayOf(
  count: number,
  error: unknown,
  { job, rules }: { job: SidekiqJob; rules: RetryRules },
): number | "kill" | "discard" {
  try {
    const wanted: unknown = rules.jobClass?.retryIn?.(count, error, job);
    if (wanted === "kill" || wanted === "discard") return wanted;
    if (typeof wanted === "number" && wanted > 0 && Number.isFinite(wanted)) return wanted;
    if (wanted instanceof Promise) wanted.catch(rules.tell); // a number is needed now, and nobody else would hear of it
  } catch (thrown) {
    rules.tell(thrown);
  }
  return count ** 4 + 15;
}

/* job_retry.rb: rand(10) * (count + 1) up to 7.3, rand(10 * (count + 1)) from 8.0; both in whole seconds. */
function jitter(count: number, sidekiq: number): number {
  const draw = (below: number): number => Math.floor(Math.random() * below);
  return sidekiq >= 8 ? draw(10 * (count + 1)) : draw(10) * (count + 1);
}

function isTooLate(payload: Payload, now: number): boolean {
  if (payload.number("retry_count") === undefined) return false; // what it says of a failure is of a former life
  const [limit, failedAt] = [payload.number("retry_for"), readTimestamp(payload.get("failed_at"))];
  return limit !== undefined && failedAt !== undefined && failedAt + limit * 1_000 < now;
}

function failureFields(
  { payload, queue }: SidekiqJob,
  error: unknown,
  { now, unit, retry }: { now: number; unit: TimestampUnit; retry: unknown },
): Record<string, string> {
  const count = payload.number("retry_count");
  const isSaid = (payload.get("retry") ?? undefined) !== undefined;
  return {
    ...(isSaid ? {} : { retry: JSON.stringify(retry) }), // what its class says is its own from now on, as in Ruby
    queue: JSON.stringify(payload.string("retry_queue") ?? queue),
    error_message: JSON.stringify(messageOf(error)),
    error_class: JSON.stringify(textOf(() => (error instanceof Error ? error.name : typeof error), "Error")),
    ...(count === undefined
      ? { failed_at: timestamp(now, unit), retry_count: "0" }
      : { retried_at: timestamp(now, unit), retry_count: String(count + 1) }),
    ...backtraceOf(payload.get("backtrace"), error),
  };
}

/* Counted in characters, as Ruby counts. */
function messageOf(error: unknown): string {
  const message = textOf(() => (error instanceof Error ? error.message : error), NO_MESSAGE);
  return Array.from(message.slice(0, 2 * LONGEST_MESSAGE))
    .slice(0, LONGEST_MESSAGE)
    .join("");
}

/* Anything may be thrown, and its job must end whatever it is. Ruby's JSON refuses half of a surrogate pair. */
function textOf(read: () => unknown, otherwise: string): string {
  try {
    return String(read()).replaceAll(/\p{Surrogate}/gu, "\uFFFD");
  } catch {
    return otherwise;
  }
}

/* `backtrace` of a job: true, or how many lines; 0 is a trace without any, as in Ruby. */
function backtraceOf(wanted: unknown, error: unknown): Record<string, string> {
  if ((!wanted && wanted !== 0) || !(error instanceof Error)) return {};
  const lines = textOf(() => error.stack ?? "", "")
    .split("\n")
    .filter((line) => line.trimStart().startsWith("at "))
    .map((line) => line.trim());
  const kept = typeof wanted === "number" ? lines.slice(0, wanted) : lines;
  return { error_backtrace: JSON.stringify(deflateSync(JSON.stringify(kept)).toString("base64")) };
}
