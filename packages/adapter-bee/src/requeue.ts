/* Giving an orphan back, burying it, setting it aside: one script each, which compares the proof of the run that held
 * it. Bee has no move of its own for one active job, so these are ours. */
import type { Orphan, RequeueOutcome } from "@assured-jobs/core";
import type { Keys } from "./keys.ts";
import { bury as buryScript } from "./scripts/bury.ts";
import { requeue as requeueScript } from "./scripts/requeue.ts";
import type { ServedQueue } from "./served-queue.ts";

/** Puts the orphan back in front of its queue, or beside it until it is due when `delay` (ms) is set. */
export async function requeue(
  queue: ServedQueue,
  { id, proof }: Pick<Orphan, "id" | "proof">,
  delay: number,
): Promise<RequeueOutcome> {
  return (await queue.run(requeueScript, [...fateKeys(queue.keys), id, proof, delay])) as RequeueOutcome;
}

/** What this process fetched and will not run. Refused or failed: then somebody else has it, or will find it. */
export async function giveBack(queue: ServedQueue, id: string, proof: string): Promise<void> {
  try {
    await requeue(queue, { id, proof }, 0);
  } catch {}
}

/** Fails the orphan for good and keeps it; producers hear it by Bee's own event. */
export async function bury(
  queue: ServedQueue,
  { id, proof }: Orphan,
  reason: string,
): Promise<"buried" | Exclude<RequeueOutcome, "requeued">> {
  const { sendEvents } = queue.member.settings;
  const json = failedJob(await queue.ask("hget", [queue.keys.jobs, id]), reason);
  const event = sendEvents ? JSON.stringify({ id, event: "failed", data: reason }) : "";
  return inFailed(queue, { id, proof, json, event });
}

/** Into the failed set as it is: a record that nobody can read. */
export const setAside = (queue: ServedQueue, id: string, proof: string): Promise<unknown> =>
  inFailed(queue, { id, proof, json: "", event: "" });

async function inFailed(
  queue: ServedQueue,
  { id, proof, json, event }: { id: string; proof: string; json: string; event: string },
): Promise<"buried" | Exclude<RequeueOutcome, "requeued">> {
  const args = [...fateKeys(queue.keys), id, proof, json, event, queue.keys.channels.events];
  return (await queue.run(buryScript, args)) as "buried" | Exclude<RequeueOutcome, "requeued">;
}

/* In JavaScript: Lua's JSON would make an object of an empty list and lose digits. Empty when it cannot be read. */
function failedJob(json: unknown, reason: string): string {
  try {
    const job = JSON.parse(String(json)) as { status: string; options: { stacktraces?: unknown[] } };
    job.status = "failed";
    job.options.stacktraces = [reason, ...(job.options.stacktraces ?? [])];
    return JSON.stringify(job);
  } catch {
    return "";
  }
}

/** What every move of an orphan begins with: scripts/fate.ts. */
export const fateKeys = (keys: Keys): readonly string[] => [
  keys.owner,
  keys.active,
  keys.stalling,
  keys.waiting,
  keys.jobs,
  keys.succeeded,
  keys.failed,
  keys.buried,
  keys.parked,
];
