/* The runs that go on in this process, one per job of a queue.
 *
 * A process that fetches its own recovered job again would run it beside its former self. So the second run is held
 * back until the first has returned.
 */
import type { Run } from "@assured-jobs/core";

interface OpenRun {
  readonly run: Run;
  readonly work: Promise<unknown>;
}

export class Runs {
  readonly #open = new Map<string, OpenRun>();

  of(id: string): Run | undefined {
    return this.#open.get(id)?.run;
  }

  /** Resolves when no other run of the job goes on here. */
  async turn(id: string): Promise<void> {
    for (let other = this.#open.get(id); other !== undefined; other = this.#open.get(id)) {
      await other.work.catch(() => undefined);
    }
  }

  /** On the list from now on; who opens a run closes it when `work` has ended. */
  open(run: Run, work: Promise<unknown>): void {
    this.#open.set(run.id, { run, work });
  }

  close(run: Run): void {
    if (this.of(run.id) === run) this.#open.delete(run.id);
  }
}
