/* The runs of this process: what executes here now, and how to tell it to stop.
 *
 * A run is on the list from before its first instruction until the queue has accepted or refused its end, so
 * "no run left" means that nothing of this process can still write to a queue.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Run, RunControl } from "./adapter.ts";
import type { AssuranceError } from "./errors.ts";
import { LiveRun } from "./live-run.ts";
import type { CountRecoveries, CurrentJob } from "./live-run.ts";

const current = new AsyncLocalStorage<CurrentJob>();

/**
 * The run that this code is part of. Undefined outside of one: in un-tracked jobs, in sandboxed processors (they are
 * other processes), in programs that fetch by hand, and with the option `currentJob: false`.
 */
export function currentJob(): CurrentJob | undefined {
  return current.getStore();
}

/** A timer of Node that is set for longer than this, ms, fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export interface RunsParts {
  readonly countRecoveries: CountRecoveries;
  /** Whether currentJob() is to work in them. */
  readonly known: boolean;
}

export class Runs {
  readonly #live = new Set<LiveRun>();
  readonly #parts: RunsParts;
  #idle: (() => void)[] = [];

  constructor(parts: RunsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#live.size;
  }

  get all(): readonly LiveRun[] {
    return [...this.#live];
  }

  /* One side branch notes the end, and the work itself is what goes back: no promise is put around it. */
  execute<T>(run: Run, body: (control: RunControl) => Promise<T>): Promise<T> {
    const live = new LiveRun(run, this.#parts.countRecoveries);
    this.#live.add(live);
    const work = this.#parts.known ? current.run(live, begin, body, live) : begin(body, live);
    const end = (): void => this.#end(live);
    work.then(end, end);
    return work;
  }

  /** Gives one run up, with the proof as the reason. */
  giveUp({ queue, id, run }: Run, reason: AssuranceError): void {
    for (const live of this.#live) {
      if (live.run.id === id && live.run.run === run && live.run.queue === queue) live.giveUp(reason);
    }
  }

  /** Newest first: what goes back in front of its queue then stands in the order in which it was fetched. */
  giveUpAll(reason: AssuranceError): void {
    for (const live of this.all.toReversed()) live.giveUp(reason);
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

  #end(live: LiveRun): void {
    this.#live.delete(live);
    if (this.#live.size > 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const tell of waiting) tell();
  }
}

/* A body that throws before it returns a promise has failed like any other. */
function begin<T>(body: (control: RunControl) => Promise<T>, live: LiveRun): Promise<T> {
  try {
    return body(live);
  } catch (error) {
    return Promise.reject(error);
  }
}
