/* What does not add up in a queue's active list. Only phantoms are mended here: for everything else upkeep and
 * recovery are already on their way, by rules that need more than one look. */
import type { Finding, Fleet } from "@assured-jobs/core";
import type { ActiveJob } from "./active-list.ts";
import type { ServedQueue } from "./served-queue.ts";
import { holderOf, isAdoption } from "./tokens.ts";
import { removePhantom } from "./upkeep.ts";

/** Findings about the active jobs of a queue. */
export async function audit(queue: ServedQueue, fleet: Fleet, repair: boolean): Promise<readonly Finding[]> {
  const findings = await Promise.all((await queue.look()).map((job) => check(queue, job, fleet, repair)));
  return findings.filter((finding) => finding !== undefined);
}

async function check(queue: ServedQueue, job: ActiveJob, fleet: Fleet, repair: boolean): Promise<Finding | undefined> {
  const about = (kind: string, detail: string, repaired = false): Finding => ({
    kind: `bullmq.${kind}`,
    queue: queue.key,
    job: job.id,
    detail,
    repaired,
  });
  if (job.phantom) {
    const detail = "It is listed as active, but the job is gone. It counts for the queue's global concurrency.";
    return about("phantom", detail, repair && (await removePhantom(queue, job.id)));
  }
  if (job.lock === undefined) return about("unlocked", unlockedDetail(queue, job));
  if (isAdoption(job.lock) || fleet.living.has(holderOf(job.lock))) return undefined;
  return about(
    "unknown-holder",
    `Its lock belongs to worker ${holderOf(job.lock)}, which no living instance registered: a worker without assurance, or a dead one whose recovery is due.`,
  );
}

function unlockedDetail(queue: ServedQueue, job: ActiveJob): string {
  const token = queue.sightings.tokenOf(job.id, job.run);
  const holder = token === undefined ? "Its holder is unknown" : `Worker ${holderOf(token)} held it last`;
  return `It is active without a lock. ${holder}; it goes back to the queue unless that one renews the lock.`;
}
