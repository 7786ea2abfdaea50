/* The host of a worker that was given to no adapter: its runs are given up by nobody but its own stop(). */
import { AssuranceError } from "@assured-jobs/core";
import type { AdapterHost, Run, RunControl } from "@assured-jobs/core";

export type Host = Pick<AdapterHost, "run" | "lost" | "warn" | "changed">;

export class AloneHost implements Host {
  readonly warn: Host["warn"];
  /** Of the runs that go on. */
  readonly #controls = new WeakMap<Run, Control>();

  constructor(warn: Host["warn"]) {
    this.warn = warn;
  }

  run<T>(run: Run, execute: (control: RunControl) => Promise<T>): Promise<T> {
    const control = new Control();
    this.#controls.set(run, control);
    return execute(control);
  }

  lost(run: Run, reason: string): void {
    const message = `Run ${run.run} of job ${run.id} was given away (${reason}): what it writes is refused.`;
    this.#controls.get(run)?.giveUp(new AssuranceError("ERR_FENCED", message));
  }

  async changed(): Promise<void> {}
}

/* Most runs end without a signal: it is made when somebody needs it. */
class Control implements RunControl {
  #abort: AbortController | undefined;

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  get givenUp(): Error | undefined {
    return this.#abort?.signal.aborted ? (this.#abort.signal.reason as Error) : undefined;
  }

  onGivenUp(listener: (reason: Error) => void): void {
    if (this.givenUp) return listener(this.givenUp);
    this.signal.addEventListener("abort", () => listener(this.givenUp!), { once: true });
  }

  giveUp(reason: Error): void {
    this.#abort ??= new AbortController();
    this.#abort.abort(reason);
  }
}
