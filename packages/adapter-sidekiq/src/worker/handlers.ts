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

/**
 * Around each run. The first one is outermost; who does not call `next` skips the job, which then counts as done. One that
 * returns before `next` has ended does not end the run: its job is waited for, and fails it.
 */
export type ServerMiddleware = (job: SidekiqJob, next: () => Promise<void>) => Promise<void>;

/** Called after a job is dead: its retries are exhausted, or it must not be retried; beside Sidekiq 8 also after a discard. */
export type DeathHandler = (job: SidekiqJob, error: unknown) => unknown;

/** `job` through all middleware into `last`. */
export function through(
  middleware: readonly ServerMiddleware[],
  job: SidekiqJob,
  last: () => Promise<void>,
): Promise<void> {
  const enter = async (at: number): Promise<void> => {
    const one = middleware[at];
    if (one === undefined) return last();
    const rest = new Rest(() => enter(at + 1));
    try {
      await one(job, () => rest.begin());
    } finally {
      await rest.end();
    }
  };
  return enter(0);
}

/* What is behind one middleware. A run must not be over while its job goes on, whatever its middleware waits for. */
class Rest {
  readonly #enter: () => Promise<void>;
  #work: Promise<void> | undefined;
  #isOver = false;
  #hasReturned = false;

  constructor(enter: () => Promise<void>) {
    this.#enter = enter;
  }

  begin(): Promise<void> {
    if (this.#hasReturned) return misused("after the middleware had returned: await it");
    if (this.#work) return misused("twice: the job runs once");
    this.#work = this.#enter();
    const over = (): void => void (this.#isOver = true);
    this.#work.then(over, over);
    return this.#work;
  }

  /** Rejects with a failure that the middleware did not wait for; what it has seen is its own to pass on. */
  async end(): Promise<void> {
    this.#hasReturned = true;
    if (!this.#isOver) await this.#work;
  }
}

/* Not awaited it must not end the process. */
function misused(how: string): Promise<never> {
  const refused = Promise.reject(new AssuranceError("ERR_STATE", `A server middleware called next() ${how}.`));
  refused.catch(() => {});
  return refused;
}
