/* The runs of this process: what executes here now, and how to tell it to stop.
 *
 * A run is on the list from before its first instruction until the queue has accepted or refused its end, so
 * "no run left" means that nothing of this process can still write to a queue.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Run, RunControl } from "./adapter.ts";
import type { AssuranceError } from "./errors.ts";
import { LiveRun } from "./live-run.ts";

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

/** A timer of Node that is set for longer than this, ms, fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

type CountRecoveries = (queue: string, id: string) => Promise<number>;

export class Runs {
  readonly #live = new Set<LiveRun>();
  readonly #recoveries: CountRecoveries;
  #idle: (() => void)[] = [];

  constructor(recoveries: CountRecoveries) {
    this.#recoveries = recoveries;
  }

  get size(): number {
    return this.#live.size;
  }

  get all(): readonly LiveRun[] {
    return [...this.#live];
  }

  async execute<T>(run: Run, body: (control: RunControl) => Promise<T>): Promise<T> {
    const live = new LiveRun(run);
    this.#live.add(live);
    try {
      return await current.run(new Described(live, this.#recoveries), () => body(live));
    } finally {
      this.#live.delete(live);
      if (this.#live.size === 0) this.#tellIdle();
    }
  }

  /** Gives one run up, with the proof as the reason. */
  giveUp({ queue, id, run }: Run, reason: AssuranceError): void {
    for (const live of this.#live) {
      if (live.run.id === id && live.run.run === run && live.run.queue === queue) live.giveUp(reason);
    }
  }

  giveUpAll(reason: AssuranceError): void {
    for (const live of this.#live) live.giveUp(reason);
  }

  /** True once no run is left; false when `timeout` ms passed before. */
  async idle(timeout: number = Number.POSITIVE_INFINITY): Promise<boolean> {
    if (this.#live.size === 0) return true;
    let timer: NodeJS.Timeout | undefined;
    const ended = new Promise<boolean>((resolve) => this.#idle.push(() => resolve(true)));
    if (timeout > LONGEST_TIMER) return ended;
    const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), timeout)));
    return Promise.race([ended, late]).finally(() => clearTimeout(timer));
  }

  #tellIdle(): void {
    const waiting = this.#idle;
    this.#idle = [];
    for (const tell of waiting) tell();
  }
}

/* A class, so that the signal is a getter and no run pays for one that nobody reads. */
class Described implements CurrentJob {
  readonly #live: LiveRun;
  readonly #recoveries: CountRecoveries;

  constructor(live: LiveRun, recoveries: CountRecoveries) {
    this.#live = live;
    this.#recoveries = recoveries;
  }

  get signal(): AbortSignal {
    return this.#live.signal;
  }

  get fencingToken(): number {
    return this.#live.run.run;
  }

  recoveries(): Promise<number> {
    return this.#recoveries(this.#live.run.queue, this.#live.run.id);
  }
}
