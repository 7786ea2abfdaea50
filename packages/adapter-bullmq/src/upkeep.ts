/* What the one on duty does for a queue once a second.
 *
 * The native stall check takes a lapsed lock for a death; we know better, so it is kept quiet, and its work is done
 * here by what is known: the locks of those who live but cannot renew them (late, blocked) are renewed for them, and
 * a job for which nobody answers follows BullMQ's own rule. Both compare the lock: the native check acts only where
 * there is none, so the two never act on one job, and an assurance that ends leaves the queue to the native check.
 */
import type { Fleet } from "@assured-jobs/core";
import type { ActiveJob } from "./active-list.ts";
import { moveAdopted } from "./requeue.ts";
import { quiet } from "./scripts/quiet.ts";
import { stall } from "./scripts/stall.ts";
import { unlist } from "./scripts/unlist.ts";
import type { ServedQueue } from "./served-queue.ts";
import { ADOPTION_TTL, adoptionToken, holderOf, isAdoption } from "./tokens.ts";
import type { IsTracked } from "@assured-jobs/core/adapter-kit";

/** How long the native check stays quiet after the last upkeep, ms: longer than an outage after which locks have lapsed
 * that their workers are about to renew, and as long as its own interval is by default. */
const QUIET = 30_000;

/** What a living holder gets before its run counts as abandoned, ms: until then it would be known to be late or blocked. */
const BENEFIT = 60_000;

/** The user's own settings of a queue, as far as upkeep needs them. */
export interface StallRules {
  readonly lockDuration: number;
  readonly stalledInterval: number;
  readonly maxStalledCount: number;
}

/** One round of upkeep. */
export async function upkeep(
  queue: ServedQueue,
  fleet: Fleet,
  { rules, isTracked }: { rules: StallRules; isTracked: IsTracked },
): Promise<void> {
  await queue.run(quiet, [queue.keys.stalledCheck, queue.keys.stalled, QUIET]);
  await Promise.all((await queue.look()).map((job) => keepInOrder(job)));

  async function keepInOrder(job: ActiveJob): Promise<void> {
    if (job.phantom) return void (await removePhantom(queue, job.id));
    const token = tokenOf(queue, job);
    if (token !== undefined && isTracked(job.name) && fleet.mute.has(holderOf(token))) {
      await queue.relock({ id: job.id, run: job.run, proof: token }, rules.lockDuration);
    } else if (job.lock === undefined && queue.sightings.unlockedFor(job, fleet.observed) >= patience(job, token)) {
      await giveUp(queue, job, rules.maxStalledCount);
    }
  }

  /* BullMQ's rule: no lock on two looks. Never shorter than a lock, so that a live worker notices and renews first
   * (worker-hook.ts); an orphan is left to its recovery, which knows crash budget and plugins. */
  function patience(job: ActiveJob, token: string | undefined): number {
    if (queue.sightings.isRecovering(job.id, job.run)) return Number.POSITIVE_INFINITY;
    const benefit = token !== undefined && fleet.living.has(holderOf(token)) ? BENEFIT : 0;
    return Math.max(rules.stalledInterval, rules.lockDuration, benefit);
  }
}

/** Removes an id from the active list whose job is gone. True when there was one. */
export async function removePhantom(queue: ServedQueue, id: string): Promise<boolean> {
  return (await queue.run(unlist, [queue.keys.job(id), queue.keys.active, queue.keys.lock(id), id])) === 1;
}

function tokenOf(queue: ServedQueue, { id, run, lock }: ActiveJob): string | undefined {
  if (lock === undefined) return queue.sightings.tokenOf(id, run);
  return isAdoption(lock) ? undefined : lock;
}

async function giveUp(queue: ServedQueue, job: ActiveJob, maxStalledCount: number): Promise<void> {
  const { keys } = queue;
  const token = adoptionToken();
  const where = [keys.job(job.id), keys.lock(job.id), keys.active, keys.repeat, keys.events];
  const adopted = await queue.run(stall, [...where, job.id, job.run, token, ADOPTION_TTL, maxStalledCount]);
  if (adopted === 1) await moveAdopted(queue, job, token);
}
