/* The runs of this process: what executes here now, and how to tell it to stop.
 *
 * A run is on the list from before its first instruction until the queue has accepted or refused its end, so
 * "no run left" means that nothing of this process can still write to a queue.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Run } from "./adapter.ts";
import type { AssuranceError } from "./errors.ts";

/** What a handler can learn about its own run. */
export interface CurrentJob {
  /** Aborted when the run was given away, or must be handed over: stop, nothing you write counts any more. */
  readonly signal: AbortSignal;
  /**
   * Number of this run of the job, given by the queue: it only grows, so a store of yours can refuse an older one.
   * It starts again when an id is used for a new job.
   */
  readonly fencingToken: number;
  /** How often a process died while it ran this job, inside the recovery window. Asks the store. */
  recoveries(): Promise<number>;
}

const current = new AsyncLocalStorage<CurrentJob>();

/**
 * The run that this code is part of. Undefined outside of one: in un-tracked jobs, in sandboxed processors (they are
 * other processes), and in programs that fetch by hand.
 */
export function currentJob(): CurrentJob | undefined {
  return current.getStore();
}

/** A run that goes on here. `startedAt`: wall clock, ms. */
export interface LiveRun {
  readonly run: Run;
  readonly startedAt: number;
  readonly abort: AbortController;
}

export class Runs {
  readonly #live = new Set<LiveRun>();
  readonly #recoveries: (queue: string, id: string) => Promise<number>;
  #idle: (() => void)[] = [];

  constructor(recoveries: (queue: string, id: string) => Promise<number>) {
    this.#recoveries = recoveries;
  }

  get size(): number {
    return this.#live.size;
  }

  get all(): readonly LiveRun[] {
    return [...this.#live];
  }

  async execute<T>(run: Run, body: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController();
    const live: LiveRun = { run, startedAt: Date.now(), abort };
    this.#live.add(live);
    try {
      return await current.run(this.#describe(live), () => body(abort.signal));
    } finally {
      this.#live.delete(live);
      if (this.#live.size === 0) this.#tellIdle();
    }
  }

  /** Aborts the signal of one run, with the proof as its reason. */
  abort(run: Run, reason: AssuranceError): void {
    for (const live of this.#live) {
      if (live.run.queue === run.queue && live.run.id === run.id && live.run.run === run.run) live.abort.abort(reason);
    }
  }

  abortAll(reason: AssuranceError): void {
    for (const live of this.#live) live.abort.abort(reason);
  }

  /** True once no run is left; false when `timeout` ms passed before. */
  async idle(timeout: number = Number.POSITIVE_INFINITY): Promise<boolean> {
    if (this.#live.size === 0) return true;
    let timer: NodeJS.Timeout | undefined;
    const ended = new Promise<boolean>((resolve) => this.#idle.push(() => resolve(true)));
    if (timeout === Number.POSITIVE_INFINITY) return ended;
    const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), timeout)));
    return Promise.race([ended, late]).finally(() => clearTimeout(timer));
  }

  #describe({ run, abort }: LiveRun): CurrentJob {
    return {
      signal: abort.signal,
      fencingToken: run.run,
      recoveries: () => this.#recoveries(run.queue, run.id),
    };
  }

  #tellIdle(): void {
    const waiting = this.#idle;
    this.#idle = [];
    for (const tell of waiting) tell();
  }
}
