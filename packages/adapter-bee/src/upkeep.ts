/* What the one on duty does for a queue once a second: nothing that is active stays nobody's.
 *
 * A run that a living process holds needs nothing: its record does not lapse. What is active without a record was
 * fetched by a worker without assurance, which may be alive; Bee's own rule decides about it (scripts/look.ts), or, when
 * the user says that there are no such workers, two seconds. What a holder has of whom nobody knows goes back after a
 * minute: its process left without it, or the store forgot the process. So does what has a record that nobody can read.
 */
import type { Fleet } from "@assured-jobs/core";
import { readOwners } from "./owners.ts";
import { requeue } from "./requeue.ts";
import { look } from "./scripts/look.ts";
import { sweep } from "./scripts/sweep.ts";
import type { ServedQueue } from "./served-queue.ts";
import { giveBackUnreadable } from "./unreadable.ts";

/** What to do with jobs that are active and claimed by nobody: Bee's own stall rule, or back to the queue at once. */
export type Unclaimed = "stalled" | "sweep";

/** An answer that was on its way is here by then, ms. */
const GRACE = 2_000;
const ABANDONED = 60_000;

export interface UpkeepRules {
  readonly unclaimed: Unclaimed;
  /** Bee's own setting, ms. */
  readonly stallInterval: number;
  readonly warn: (message: string) => void;
}

export interface Stray {
  readonly id: string;
  readonly gone: boolean;
}

/** One round of upkeep. */
export async function upkeep(queue: ServedQueue, fleet: Fleet, rules: UpkeepRules): Promise<void> {
  const { tick, strays } = await lookAt(queue, rules.stallInterval);
  const gone = strays.filter((stray) => stray.what === "gone").map(({ id }) => id);
  const unclaimed = strays.filter(({ what }) => what === "unclaimed" || what === "stalled").map(({ id }) => id);
  const since = queue.sightings.unclaimed.of(unclaimed, fleet.observed);
  const due = rules.unclaimed === "sweep" ? unclaimed.filter((id) => (since.get(id) ?? 0) >= GRACE) : [];
  await sweepAway(queue, [...gone, ...due]);
  if (tick) noteRenewed(queue, strays, rules);
  await giveBackAbandoned(queue, fleet, rules.warn);
}

/** Ids that are active and that no run of ours holds. Changes nothing. */
export async function straysOf(queue: ServedQueue): Promise<readonly Stray[]> {
  return (await lookAt(queue, 0)).strays.map(({ id, what }) => ({ id, gone: what === "gone" }));
}

/** Gives back what is still nobody's, drops what has no job. Returns the ids. */
export async function sweepAway(queue: ServedQueue, ids: readonly string[]): Promise<readonly string[]> {
  if (ids.length === 0) return [];
  const { keys } = queue;
  const where = [keys.active, keys.owner, keys.jobs, keys.stalling, keys.waiting];
  return (await queue.run(sweep, [...where, ...ids.slice(0, 250)])) as string[];
}

interface Seen {
  readonly id: string;
  readonly what: string;
}

async function lookAt(queue: ServedQueue, interval: number): Promise<{ tick: boolean; strays: readonly Seen[] }> {
  const { keys } = queue;
  const where = [keys.active, keys.owner, keys.jobs, keys.stalling, keys.waiting, keys.stallBlock];
  const [tick, ...fields] = (await queue.run(look, [...where, interval])) as [number, ...string[]];
  const strays: Seen[] = [];
  for (let at = 0; at < fields.length; at += 2) strays.push({ id: fields[at] ?? "", what: fields[at + 1] ?? "" });
  return { tick: tick === 1, strays };
}

/* Marked at the last tick and not stalled at this one: somebody keeps it, who is none of ours. */
function noteRenewed({ key, sightings }: ServedQueue, strays: readonly Seen[], { unclaimed, warn }: UpkeepRules): void {
  const renewed = strays.find(({ id, what }) => what === "unclaimed" && sightings.marked.has(id));
  sightings.marked = new Set(strays.filter(({ what }) => what !== "gone" && what !== "back").map(({ id }) => id));
  if (renewed === undefined) return;
  const risk = unclaimed === "sweep" ? " With unclaimed: 'sweep' their jobs run twice: remove that option." : "";
  warn(
    `${key} has workers without assurance (job ${renewed.id} is one of theirs): their jobs are recovered by Bee's own stall rule only.${risk} Give their Queue to beeAdapter() in their process.`,
  );
}

async function giveBackAbandoned(
  queue: ServedQueue,
  { living, observed }: Fleet,
  warn: (message: string) => void,
): Promise<void> {
  const { sightings } = queue;
  sightings.lapse();
  const { owned, unreadable } = await readOwners(queue);
  const unknown = owned.filter(({ holder, proof }) => !living.has(holder) && !sightings.isRecovering(proof));
  const since = sightings.abandoned.of(
    unknown.map(({ proof }) => proof),
    observed,
  );
  for (const one of unknown) if ((since.get(one.proof) ?? 0) >= ABANDONED) await requeue(queue, one, 0);
  await giveBackUnreadable(queue, unreadable, { observed, patience: ABANDONED, warn });
}
