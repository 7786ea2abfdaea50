/* A job whose record of its owner nobody can read: torn, or written by somebody else.
 *
 * No run can end it and no death gives it back, so it would wait for ever. It is treated as one whose holder nobody
 * knows: after a minute in which the record stayed as it is, it goes back. Whatever wrote the record, no run of ours
 * goes by it; one that does run the job meanwhile is a zombie, and its end is refused.
 */
import { fateKeys } from "./requeue.ts";
import { fingerprint, requeueUnreadable } from "./scripts/unreadable.ts";
import type { ServedQueue } from "./served-queue.ts";

/** So many in one round: the others follow when these are back. */
const AT_MOST = 250;

/** Gives back those of `ids` whose record has stayed as it is for `patience` ms of observed time, and tells a person. */
export async function giveBackUnreadable(
  queue: ServedQueue,
  ids: readonly string[],
  { observed, patience, warn }: { observed: number; patience: number; warn: (message: string) => void },
): Promise<void> {
  const records = await recordsOf(queue, ids.slice(0, AT_MOST));
  const since = queue.sightings.unreadable.of([...records.keys()], observed);
  for (const [record, { id, hash }] of records) {
    if ((since.get(record) ?? 0) < patience) continue;
    const outcome = await queue.run(requeueUnreadable, [...fateKeys(queue.keys), id, hash, 0]);
    if (outcome === "requeued") warn(told(queue.key, id));
  }
}

interface Unreadable {
  readonly id: string;
  readonly hash: string;
}

/* By what makes a record the same one: whose it is, and what it says. */
async function recordsOf(queue: ServedQueue, ids: readonly string[]): Promise<ReadonlyMap<string, Unreadable>> {
  if (ids.length === 0) return new Map();
  const hashes = (await queue.run(fingerprint, [queue.keys.owner, ...ids])) as string[];
  const records = ids.map((id, at) => ({ id, hash: hashes[at] ?? "" }));
  return new Map(records.map((record) => [`${record.hash} ${record.id}`, record]));
}

const told = (queue: string, id: string): string =>
  `Job ${id} of ${queue} had a record of its owner that nobody can read, and was given back to the queue. Only Assured Jobs writes to the keys "assured:*": look for what else does.`;
