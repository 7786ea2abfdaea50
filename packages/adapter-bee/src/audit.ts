/* What does not add up in a queue's active list and its record of owners. Only phantoms are mended here: for everything
 * else upkeep and recovery are already on their way, by rules that need more than one look. */
import type { Finding, Fleet } from "@assured-jobs/core";
import { readOwners } from "./owners.ts";
import type { ServedQueue } from "./served-queue.ts";
import { straysOf, sweepAway } from "./upkeep.ts";

/** Findings about the active jobs of a queue. */
export async function audit(queue: ServedQueue, fleet: Fleet, repair: boolean): Promise<readonly Finding[]> {
  const strays = await straysOf(queue);
  const { owned, unreadable } = await readOwners(queue);
  const phantoms = strays.filter(({ gone }) => gone).map(({ id }) => id);
  const mended = new Set(repair ? await sweepAway(queue, phantoms) : []);
  const about = (kind: string, job: string, detail: string): Finding => ({
    kind: `bee.${kind}`,
    queue: queue.key,
    job,
    detail,
    repaired: mended.has(job),
  });
  return [
    ...phantoms.map((id) => about("phantom", id, "It is listed as active, but the job is gone.")),
    ...strays.filter(({ gone }) => !gone).map(({ id }) => about("unclaimed", id, UNCLAIMED)),
    ...owned
      .filter(({ holder }) => !fleet.living.has(holder))
      .map(({ id, holder }) => about("unknown-holder", id, unknownHolder(holder))),
    ...unreadable.map((id) => about("unreadable-owner", id, UNREADABLE)),
  ];
}

const UNCLAIMED =
  "It is active, and no assured run holds it: a worker without assurance has it, or lost it. Bee's stall rule gives it back unless that worker keeps it.";

const UNREADABLE =
  'The record of its owner cannot be read, so no run can end it: something else wrote to the keys "assured:*". After a minute it goes back.';

const unknownHolder = (holder: string): string =>
  `Holder ${holder} has it, whom no living instance registered: a dead one whose recovery is due, or one that was forgotten. After a minute it goes back.`;
