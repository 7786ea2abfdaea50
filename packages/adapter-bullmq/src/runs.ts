/* The runs that go on in this process, one per job of a queue.
 *
 * A worker that fetches its own recovered job again would run it beside its former self, and BullMQ's lock renewal,
 * which goes by job id, would lose sight of the second run when the first one ends. So the second is held back, with
 * its lock kept alive, until the first has returned.
 */
import type { Run } from "@assured-jobs/core";
import type { ServedQueue } from "./served-queue.ts";

interface OpenRun {
  readonly run: Run;
  readonly work: Promise<unknown>;
}

export class Runs {
  readonly #queue: ServedQueue;
  readonly #open = new Map<string, OpenRun>();

  constructor(queue: ServedQueue) {
    this.#queue = queue;
  }

  of(id: string): Run | undefined {
    return this.#open.get(id)?.run;
  }

  /** Resolves when no other run of the job goes on here: true when `run` still has its lock then. */
  async turn(run: Run, lockDuration: number): Promise<boolean> {
    for (let other = this.#open.get(run.id); other !== undefined; other = this.#open.get(run.id)) {
      const renewal = setInterval(() => void this.#renew(run, lockDuration), lockDuration / 4);
      await other.work.catch(() => undefined);
      clearInterval(renewal);
      if (!(await this.#renew(run, lockDuration))) return false;
    }
    return true;
  }

  /** On the list from now on; who opens a run closes it when `work` has ended. */
  open(run: Run, work: Promise<unknown>): void {
    this.#open.set(run.id, { run, work });
  }

  close(run: Run): void {
    if (this.of(run.id) === run) this.#open.delete(run.id);
  }

  /* A renewal that fails is no answer; one that fails at the end leaves the job to recovery instead of running it. */
  #renew(run: Run, lockDuration: number): Promise<boolean> {
    return this.#queue.relock(run, lockDuration).catch(() => false);
  }
}
