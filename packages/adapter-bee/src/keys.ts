/* The only place where a Redis key is spelled: Bee's own, and ours beside them.
 *
 * Bee knows no hash tags, so there is no Cluster to think of.
 */
import type { NativeQueue } from "./native.ts";

export interface Keys {
  readonly waiting: string;
  readonly active: string;
  readonly stalling: string;
  readonly stallBlock: string;
  readonly jobs: string;
  readonly succeeded: string;
  readonly failed: string;
  readonly delayed: string;
  /** HASH id -> proof of the run that holds the job. */
  readonly owner: string;
  /** STRING, counts the runs of the queue: the fencing token. */
  readonly run: string;
  /** ZSET id -> when it is due, ms of the server's clock: given back with a delay. */
  readonly parked: string;
  /** SET of ids that were buried. */
  readonly buried: string;
  /** STRING for each holder: its fetches up to this number are refused. */
  bar(holder: string): string;
  /** Channels of Bee's, which are no keys to a client with a key prefix. */
  readonly channels: { readonly events: string; readonly earlierDelayed: string };
}

const BEE = ["waiting", "active", "stalling", "stallBlock", "jobs", "succeeded", "failed", "delayed"] as const;
const OURS = ["owner", "run", "parked", "buried"] as const;

export function keysOf(queue: NativeQueue): Keys {
  const ours = (name: string): string => queue.toKey(`assured:${name}`);
  const named = [...BEE.map((name) => [name, queue.toKey(name)]), ...OURS.map((name) => [name, ours(name)])];
  return {
    ...(Object.fromEntries(named) as Record<(typeof BEE)[number] | (typeof OURS)[number], string>),
    bar: (holder) => ours(`bar:${holder}`),
    channels: { events: queue.toKey("events"), earlierDelayed: queue.toKey("earlierDelayed") },
  };
}

/** The key under which the rest of Assured Jobs knows a queue, e.g. `bee:bq:payments`. */
export const queueKey = ({ settings }: NativeQueue): string => `bee:${settings.keyPrefix.replace(/:$/, "")}`;
