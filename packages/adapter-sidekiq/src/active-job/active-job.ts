/* Jobs of Rails (ActiveJob) in Sidekiq: one class that wraps, and the real job as its only argument.
 *
 * What is built here is what Rails 6.1 to 8 build themselves. Rails' own retries push a new job with a new jid and the same
 * job_id; a Node worker retries as Sidekiq does.
 */
import { randomUUID } from "node:crypto";
import { dueAt } from "../client/due.ts";
import { assertNames, refusal } from "../refusal.ts";
import type { SidekiqJobInput, SidekiqTime } from "../client/types.ts";
import type { SidekiqVersion } from "../worker/options.ts";
import { serialize, timeText } from "./serialize.ts";

/** What Rails' adapter names its wrapper; Sidekiq 8 has its own, and takes the old name as well. */
export const WRAPPERS: Readonly<Record<SidekiqVersion, string>> = {
  6: "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper",
  7: "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper",
  8: "Sidekiq::ActiveJob::Wrapper",
};

export interface ActiveJobOptions {
  /** Default `default`. */
  readonly queue?: string | undefined;
  /** Not before this time. */
  readonly at?: SidekiqTime | undefined;
  readonly priority?: number | undefined;
  /** `en`. Default: the Rails app's own. */
  readonly locale?: string | undefined;
  /** `Europe/Berlin`. Default: the Rails app's own. */
  readonly timezone?: string | undefined;
  /** How often it ran already. Default 0. */
  readonly executions?: number | undefined;
  /** Default: a random UUID. */
  readonly jobId?: string | undefined;
  /** Sidekiq's retries, beside those of Rails. Default true. */
  readonly retry?: boolean | number | undefined;
  /** Version of the Ruby side. Default 7: its wrapper is known to all. */
  readonly sidekiq?: SidekiqVersion | undefined;
}

/**
 * A job for `SidekiqClient.push` that Rails runs as `jobClass.perform(*args)`. Arguments are values of JSON, bigints, Dates
 * (a Time), and what `symbol`, `globalId`, `rubyDate`, `duration`, `keywords` and their kind make.
 *
 * @throws AssuranceError ERR_OPTION for what Rails could not read.
 */
export function activeJob(jobClass: string, args: readonly unknown[], options: ActiveJobOptions = {}): SidekiqJobInput {
  if (typeof jobClass !== "string" || jobClass === "") throw refusal("activeJob: class", "a name", jobClass);
  if (!Array.isArray(args)) throw refusal("activeJob: arguments", "an array", args);
  assertNames(options, NAMES, "activeJob: ");
  const { queue = "default", retry = true, sidekiq = 7 } = options;
  const wrapper = WRAPPERS[sidekiq];
  if (wrapper === undefined) throw refusal("activeJob: sidekiq", "6, 7 or 8", sidekiq);
  const now = new Date();
  const at = dueAt(options.at, now.getTime());
  const job = jobData(jobClass, { ...options, queue, at }, now);
  return {
    class: wrapper,
    wrapped: jobClass,
    queue,
    retry,
    args: [{ ...job, arguments: serialize(args, "arguments") }],
    at,
  };
}

const NAMES = ["queue", "at", "priority", "locale", "timezone", "executions", "jobId", "retry", "sidekiq"];

/* The hash that Rails calls job_data, its arguments still to come. */
function jobData(jobClass: string, options: ActiveJobOptions & { readonly at: number | undefined }, now: Date): object {
  const { queue, at, priority = null, locale = null, timezone = null, executions = 0, jobId = randomUUID() } = options;
  return {
    job_class: jobClass,
    job_id: jobId,
    provider_job_id: null,
    queue_name: queue,
    priority,
    arguments: [],
    executions,
    exception_executions: {},
    locale,
    timezone,
    enqueued_at: timeText(now, "enqueued_at"),
    ...(at === undefined ? {} : { scheduled_at: timeText(new Date(at * 1_000), "at") }),
  };
}
