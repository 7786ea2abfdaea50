/* What a program registers for its jobs, and what the whole worker does around and after them. */
import { AssuranceError } from "@assured-jobs/core";
import type { SidekiqJob } from "./job.ts";

/** Does one job. What it resolves to is dropped: Sidekiq keeps no results. Rejecting is a failure. */
export type SidekiqHandler = (job: SidekiqJob) => unknown;

/** A handler, and what Sidekiq has as options and callbacks of a job class. */
export interface SidekiqJobClass {
  readonly perform: SidekiqHandler;
  /** For payloads that say nothing about it. Default true: 25 retries. */
  readonly retry?: boolean | number;
  /**
   * Seconds until the next run after failure number `count` (0 for the first), instead of count^4 + 15; jitter is added.
   * `"kill"`: to the dead set at once. `"discard"`: nothing is left of it. Anything else: the default.
   */
  readonly retryIn?: (count: number, error: unknown, job: SidekiqJob) => number | "kill" | "discard" | undefined;
  /** The last retry has failed. `"discard"`: the job does not go to the dead set. May be called twice after a crash. */
  readonly retriesExhausted?: (job: SidekiqJob, error: unknown) => unknown;
}

/** Around each run. The first one is outermost; who does not call `next` skips the job, which then counts as done. */
export type ServerMiddleware = (job: SidekiqJob, next: () => Promise<void>) => Promise<void>;

/** Called after a job is dead: its retries are exhausted, or it must not be retried; beside Sidekiq 8 also after a discard. */
export type DeathHandler = (job: SidekiqJob, error: unknown) => unknown;

/** `job` through all middleware into `last`. */
export function through(
  middleware: readonly ServerMiddleware[],
  job: SidekiqJob,
  last: () => Promise<void>,
): Promise<void> {
  const enter = (at: number): Promise<void> => {
    const one = middleware[at];
    if (one === undefined) return last();
    let isEntered = false;
    return one(job, async () => {
      if (isEntered)
        throw new AssuranceError("ERR_STATE", "A server middleware called next() twice: the job runs once.");
      isEntered = true;
      await enter(at + 1);
    });
  };
  return enter(0);
}
