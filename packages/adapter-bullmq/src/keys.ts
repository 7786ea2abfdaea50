/* The only place where a Redis key of BullMQ is spelled.
 *
 * Cluster: every key of a queue begins with `<prefix>:<queue>:`, so a prefix with a hash tag (`{bull}`), which BullMQ
 * itself demands there, keeps all of them in one slot, also those that a script derives from `base`.
 */

/** Keys of one queue. */
export interface QueueKeys {
  /** `<prefix>:<queue>:`, from which the keys of jobs are derived. */
  readonly base: string;
  readonly active: string;
  readonly prioritized: string;
  readonly completed: string;
  readonly failed: string;
  readonly stalled: string;
  readonly stalledCheck: string;
  readonly marker: string;
  readonly meta: string;
  readonly events: string;
  readonly repeat: string;
  job(id: string): string;
  lock(id: string): string;
}

/** `qualifiedName` is BullMQ's `<prefix>:<queue>`. */
export function keysOf(qualifiedName: string): QueueKeys {
  const base = `${qualifiedName}:`;
  return {
    base,
    active: `${base}active`,
    prioritized: `${base}prioritized`,
    completed: `${base}completed`,
    failed: `${base}failed`,
    stalled: `${base}stalled`,
    stalledCheck: `${base}stalled-check`,
    marker: `${base}marker`,
    meta: `${base}meta`,
    events: `${base}events`,
    repeat: `${base}repeat`,
    job: (id) => `${base}${id}`,
    lock: (id) => `${base}${id}:lock`,
  };
}

/** The key under which the rest of Assured Jobs knows a queue. */
export const queueKey = (qualifiedName: string): string => `bullmq:${qualifiedName}`;
