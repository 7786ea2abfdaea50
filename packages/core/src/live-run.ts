/* One run that goes on here, and whether it still may.
 *
 * Almost every run ends without ever being given up, and many are shorter than it takes to make an AbortSignal, so the
 * signal is made when somebody asks for it.
 */
import type { Run, RunControl } from "./adapter.ts";

export class LiveRun implements RunControl {
  readonly run: Run;
  /** Wall clock, ms. */
  readonly startedAt: number = Date.now();
  #givenUp: Error | undefined;
  #listeners: ((reason: Error) => void)[] | undefined;
  #abort: AbortController | undefined;

  constructor(run: Run) {
    this.run = run;
  }

  get givenUp(): Error | undefined {
    return this.#givenUp;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#givenUp) this.#abort.abort(this.#givenUp);
    return this.#abort.signal;
  }

  onGivenUp(listener: (reason: Error) => void): void {
    if (this.#givenUp) return listener(this.#givenUp);
    this.#listeners ??= [];
    this.#listeners.push(listener);
  }

  /** Only the first reason counts. */
  giveUp(reason: Error): void {
    if (this.#givenUp) return;
    this.#givenUp = reason;
    this.#abort?.abort(reason);
    for (const listener of this.#listeners ?? []) listener(reason);
  }
}
