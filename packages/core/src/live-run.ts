/* One run that goes on here, and whether it still may.
 *
 * Almost every run ends without ever being given up, and many are shorter than it takes to make an AbortSignal, so
 * nothing is made here before somebody asks for it: what a run costs, every job pays.
 */
import type { Run, RunControl } from "./adapter.ts";

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

export type CountRecoveries = (queue: string, id: string) => Promise<number>;

type GivenUpListener = (reason: Error) => void;

export class LiveRun implements RunControl, CurrentJob {
  readonly run: Run;
  /** performance.now(): a wall clock may be set while the run goes on. */
  readonly began: number = performance.now();
  readonly #countRecoveries: CountRecoveries;
  #givenUp: Error | undefined;
  #listeners: GivenUpListener[] | undefined;
  #abort: AbortController | undefined;

  constructor(run: Run, countRecoveries: CountRecoveries) {
    this.run = run;
    this.#countRecoveries = countRecoveries;
  }

  get givenUp(): Error | undefined {
    return this.#givenUp;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#givenUp) this.#abort.abort(this.#givenUp);
    return this.#abort.signal;
  }

  get fencingToken(): number {
    return this.run.run;
  }

  recoveries(): Promise<number> {
    return this.#countRecoveries(this.run.queue, this.run.id);
  }

  onGivenUp(listener: GivenUpListener): void {
    if (this.#givenUp) return listener(this.#givenUp);
    (this.#listeners ??= []).push(listener);
  }

  /** Only the first reason counts. */
  giveUp(reason: Error): void {
    if (this.#givenUp) return;
    this.#givenUp = reason;
    this.#abort?.abort(reason);
    for (const listener of this.#listeners ?? []) listener(reason);
  }
}
