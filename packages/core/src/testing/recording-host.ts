/* A host for tests of adapters: it does what core would with the runs that are reported, and writes everything down. */
import type { AdapterHost, Run, RunControl } from "../adapter.ts";

/** A run as it was reported. */
export interface Reported {
  readonly run: Run;
  readonly abort: AbortController;
  ended: boolean;
}

/** Reported runs are carried out at once, and listed. */
export class RecordingHost implements AdapterHost {
  readonly runs: Reported[] = [];
  readonly lostRuns: { run: Run; reason: string }[] = [];
  readonly warnings: string[] = [];
  changes = 0;
  joined: Promise<void> = Promise.resolve();
  /** What changed() waits for. */
  store: Promise<void> = Promise.resolve();

  async run<T>(run: Run, execute: (control: RunControl) => Promise<T>): Promise<T> {
    const reported: Reported = { run, abort: new AbortController(), ended: false };
    this.runs.push(reported);
    try {
      return await execute(controlOf(reported.abort.signal));
    } finally {
      reported.ended = true;
    }
  }

  lost(run: Run, reason: string): void {
    this.lostRuns.push({ run, reason });
    for (const one of this.runs)
      if (one.run.id === run.id && one.run.run === run.run) one.abort.abort(new Error(reason));
  }

  async changed(): Promise<void> {
    this.changes++;
    await this.store;
  }

  warn(message: string): void {
    this.warnings.push(message);
  }
}

/** What core would say to a run, by the signal of a test. */
export const controlOf = (signal: AbortSignal): RunControl => ({
  get givenUp() {
    return signal.aborted ? (signal.reason as Error) : undefined;
  },
  onGivenUp: (listener) => signal.addEventListener("abort", () => listener(signal.reason as Error)),
  signal,
});
