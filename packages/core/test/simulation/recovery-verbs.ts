/* The verbs of recovery, as every adapter of the simulation has them: calls over a path to a shared queue. */
import type { DeadHolder, QueueAdapter } from "../../src/adapter.ts";
import type { Orphan } from "../../src/store.ts";
import type { HeldJob } from "../../src/testing/index.ts";
import type { ObservedQueue } from "./observed-queue.ts";
import type { Path } from "./path.ts";

type Verbs = Pick<
  QueueAdapter,
  "heldBy" | "requeue" | "bury" | "state" | "promote" | "retry" | "discard" | "release" | "audit"
>;

/** @param isOwn whether an incarnation is the caller's own: it hands over, and recovers nobody */
export function recoveryVerbs(path: Path, queue: ObservedQueue, isOwn: (incarnation: string) => boolean): Verbs {
  const refuse = (): Promise<never> => Promise.reject(new Error("nobody acts by hand here"));
  return {
    heldBy: (_queue, dead) => path.call("queue.heldBy", () => orphansOf(queue, dead)),
    requeue: (orphan, { delay }) =>
      path.call("queue.requeue", () => (isOwn(orphan.holder) ? queue.handOver(orphan) : queue.requeue(orphan, delay))),
    bury: (orphan, reason) => path.call("queue.bury", () => queue.bury(orphan, reason)),
    state: (_queue, id) =>
      path.call("queue.state", () => {
        const state = queue.get(id)?.state ?? "missing";
        return state === "buried" ? "failed" : state;
      }),
    promote: (_queue, id) => path.call("queue.promote", () => queue.promote(id)),
    retry: refuse,
    discard: refuse,
    release: refuse,
    audit: () => Promise.resolve([]),
  };
}

export const runOf = (queue: ObservedQueue, { id, run, proof }: HeldJob): Omit<Orphan, "holder"> => ({
  queue: queue.key,
  id,
  run,
  proof,
});

/* Each goes to the front, so the newest first. */
function orphansOf(queue: ObservedQueue, dead: readonly DeadHolder[]): Orphan[] {
  const holders = new Map(dead.flatMap(({ incarnation, ids }) => ids.map((id) => [id, incarnation] as const)));
  return queue.held.toReversed().flatMap((job) => {
    const holder = holders.get(job.holder);
    return holder === undefined ? [] : [{ ...runOf(queue, job), holder }];
  });
}
