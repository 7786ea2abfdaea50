/* What this process has seen of a queue's active jobs. A lock that lapses takes the name of its holder with it; the
 * last sighting keeps it, so that the job is still given to the right side: back to the holder that lives, or away
 * from the one that died. Losing this memory is safe: claims, and BullMQ's own rule, remain. */
import type { ActiveJob } from "./active-list.ts";
import { isAdoption } from "./tokens.ts";

interface Sighting {
  readonly run: number;
  readonly priority: number;
  /** The holder's last token in this run. */
  token: string | undefined;
  /** Observed time at which it was first seen without a lock. */
  unlockedSince: number | undefined;
  /** performance.now() of the last time it was reported as an orphan. */
  orphanedAt: number | undefined;
}

/** How long a reported orphan is left to its recovery before BullMQ's own rule applies to it, ms. */
const RECOVERY_PATIENCE = 60_000;

export class Sightings {
  #seen = new Map<string, Sighting>();

  /** Takes in a whole reading of the active list, and forgets what is no longer in it. */
  remember(jobs: readonly ActiveJob[]): void {
    const seen = new Map<string, Sighting>();
    for (const job of jobs) {
      const before = this.#of(job.id, job.run);
      const sighting = before ?? fresh(job);
      if (job.lock !== undefined) sighting.unlockedSince = undefined;
      if (job.lock !== undefined && !isAdoption(job.lock)) sighting.token = job.lock;
      seen.set(job.id, sighting);
    }
    this.#seen = seen;
  }

  tokenOf(id: string, run: number): string | undefined {
    return this.#of(id, run)?.token;
  }

  /** Undefined when this process has not seen the job. */
  priorityOf(id: string, run: number): number | undefined {
    return this.#of(id, run)?.priority;
  }

  orphaned(id: string, run: number): void {
    const sighting = this.#of(id, run);
    if (sighting !== undefined) sighting.orphanedAt = performance.now();
  }

  isRecovering(id: string, run: number): boolean {
    const at = this.#of(id, run)?.orphanedAt;
    return at !== undefined && performance.now() - at < RECOVERY_PATIENCE;
  }

  /** How long, in observed time, a job has been seen without a lock. */
  unlockedFor(job: ActiveJob, observed: number): number {
    const sighting = this.#of(job.id, job.run);
    if (sighting === undefined) return 0;
    sighting.unlockedSince ??= observed;
    return observed - sighting.unlockedSince;
  }

  #of(id: string, run: number): Sighting | undefined {
    const sighting = this.#seen.get(id);
    return sighting?.run === run ? sighting : undefined;
  }
}

const fresh = (job: ActiveJob): Sighting => ({
  run: job.run,
  priority: job.priority,
  token: undefined,
  unlockedSince: undefined,
  orphanedAt: undefined,
});
