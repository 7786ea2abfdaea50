/* Reads the record of owners, in which every job stands that a run of ours holds. */
import type { DeadHolder, Incarnation, Orphan } from "@assured-jobs/core";
import { parseProof } from "./proof.ts";
import type { ServedQueue } from "./served-queue.ts";

interface Owned {
  readonly id: string;
  readonly proof: string;
  readonly holder: string;
  readonly run: number;
}

export interface Owners {
  /** Newest first: they are met soon in the active list, and the oldest ends up as the next to run. */
  readonly owned: readonly Owned[];
  /** Ids whose record is no proof. */
  readonly unreadable: readonly string[];
}

export async function readOwners(queue: ServedQueue): Promise<Owners> {
  const owned: Owned[] = [];
  const unreadable: string[] = [];
  const reply = (await queue.ask("hgetall", [queue.keys.owner])) as Readonly<Record<string, string>> | null;
  for (const [id, proof] of Object.entries(reply ?? {})) {
    const parsed = parseProof(proof);
    if (parsed === undefined) unreadable.push(id);
    else owned.push({ id, proof, ...parsed });
  }
  return { owned: owned.toSorted((a, b) => b.run - a.run), unreadable };
}

/** Orphans of `dead` in the order in which they are best given back. */
export async function orphansOf(queue: ServedQueue, dead: readonly DeadHolder[]): Promise<readonly Orphan[]> {
  const graves = new Map<string, Incarnation>();
  for (const { incarnation, ids } of dead) for (const id of ids) graves.set(id, incarnation);
  if (graves.size === 0) return [];
  const orphans: Orphan[] = [];
  for (const { id, run, proof, holder } of (await readOwners(queue)).owned) {
    const incarnation = graves.get(holder);
    if (incarnation === undefined) continue;
    queue.sightings.orphaned(proof);
    orphans.push({ queue: queue.key, id, run, proof, holder: incarnation });
  }
  return orphans;
}
