/* Which active jobs belong to the dead. The lock says it; where it has lapsed, the last sighting does, and then the
 * claim of the same run. Newest first, as BullMQ lists them: its move removes from that end, so that each costs the
 * same (42,000 a second; from the other end 4,600), and the oldest job ends up as the next to run. */
import type { Claim, DeadHolder, Incarnation, Orphan } from "@assured-jobs/core";
import type { ActiveJob } from "./active-list.ts";
import type { ServedQueue } from "./served-queue.ts";
import { holderOf, isAdoption } from "./tokens.ts";
import type { IsTracked } from "@assured-jobs/core/adapter-kit";

/** Orphans of `dead` in the order in which they are best given back. */
export async function orphansOf(
  queue: ServedQueue,
  dead: readonly DeadHolder[],
  isTracked: IsTracked,
): Promise<readonly Orphan[]> {
  const graves = new Graves(dead);
  const orphans: Orphan[] = [];
  for (const job of await queue.look()) {
    if (job.phantom || !isTracked(job.name)) continue;
    const held = graves.holding(job, queue.sightings.tokenOf(job.id, job.run));
    if (held === undefined) continue;
    queue.sightings.orphaned(job.id, job.run);
    orphans.push({ queue: queue.key, id: job.id, run: job.run, name: job.name, ...held });
  }
  return orphans;
}

type Held = { readonly holder: Incarnation; readonly proof: string };

class Graves {
  readonly #byId = new Map<string, Incarnation>();
  readonly #byClaim = new Map<string, Held>();

  constructor(dead: readonly DeadHolder[]) {
    for (const { incarnation, ids, claims } of dead) {
      for (const id of ids) this.#byId.set(id, incarnation);
      for (const claim of claims) this.#byClaim.set(runKey(claim), { holder: incarnation, proof: claim.proof });
    }
  }

  holding(job: ActiveJob, lastToken: string | undefined): Held | undefined {
    if (job.lock !== undefined) return isAdoption(job.lock) ? undefined : this.#byToken(job.lock);
    return lastToken === undefined ? this.#byClaim.get(runKey(job)) : this.#byToken(lastToken);
  }

  #byToken(proof: string): Held | undefined {
    const holder = this.#byId.get(holderOf(proof));
    return holder === undefined ? undefined : { holder, proof };
  }
}

const runKey = ({ id, run }: Pick<Claim, "id" | "run">): string => `${run} ${id}`;
