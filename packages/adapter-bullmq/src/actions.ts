/* What a person may do with a job. Each compares first and is refused when the job is not where it was seen; the
 * comparison that counts is BullMQ's own, in the script that moves. */
import { AssuranceError } from "@assured-jobs/core";
import type { JobState } from "@assured-jobs/core";
import type { NativeJob } from "./native.ts";
import { CODE, codeOf, loadJob, promote, stateOf } from "./moves.ts";
import { BURIED } from "./scripts/keep.ts";
import { retake } from "./scripts/retake.ts";
import type { ServedQueue } from "./served-queue.ts";
import { withinDeadline } from "@assured-jobs/core/adapter-kit";

const STATES: Readonly<Record<string, JobState>> = {
  active: "held",
  completed: "finished",
  failed: "failed",
  unknown: "missing",
};

export async function jobState(queue: ServedQueue, id: string): Promise<JobState> {
  return STATES[await stateOf(queue.member, id)] ?? "waiting";
}

/** Makes a delayed job due now; does nothing for any other. */
export async function promoteJob(queue: ServedQueue, id: string): Promise<void> {
  await promote(queue.member, id).catch((error: unknown) => {
    if (codeOf(error) !== CODE.elsewhere) throw error;
  });
}

export async function retryFailed(queue: ServedQueue, id: string): Promise<void> {
  const job = await existing(queue, id, "retry");
  await refusedByCode(queue, id, "retry", () => job.retry("failed"));
}

/** Like retry, but first takes the job's deduplication key again, or refuses when a twin has it. */
export async function releaseBuried(queue: ServedQueue, id: string): Promise<void> {
  const { keys } = queue;
  const job = await existing(queue, id, "release");
  const holder = await queue.run(retake, [keys.job(id), keys.failed, keys.base, id, BURIED]);
  if (holder === "-") throw await notBuried(queue, id);
  if (holder !== "")
    throw refused(
      "release",
      id,
      `job ${String(holder)} holds its deduplication key. Wait until that one has ended, or discard one of the two.`,
    );
  await refusedByCode(queue, id, "release", () => job.retry("failed"));
}

export async function discardJob(queue: ServedQueue, id: string): Promise<void> {
  const job = await existing(queue, id, "discard");
  if ((await jobState(queue, id)) === "held") {
    throw refused("discard", id, "a worker holds it. Wait until it has ended, or until its holder was declared dead.");
  }
  await refusedByCode(queue, id, "discard", () => job.remove());
}

async function existing(queue: ServedQueue, id: string, action: string): Promise<NativeJob> {
  const job = await loadJob(queue.member, id);
  if (job === undefined) throw refused(action, id, "the queue knows no such job.");
  return job;
}

async function refusedByCode(queue: ServedQueue, id: string, action: string, act: () => Promise<void>): Promise<void> {
  try {
    await withinDeadline(queue.key, act());
  } catch (error) {
    const code = codeOf(error);
    if (code === CODE.scheduled)
      throw refused(action, id, "it is the next iteration of a job scheduler. Remove the scheduler instead.", error);
    if (code !== undefined || isLocked(error)) throw await notInState(queue, id, action, error);
    throw error;
  }
}

/* BullMQ has no code for this one. */
const isLocked = (error: unknown): boolean =>
  error instanceof Error && error.message.includes("locked by another worker");

async function notInState(queue: ServedQueue, id: string, action: string, cause?: unknown): Promise<AssuranceError> {
  return refused(action, id, `it is ${await stateOf(queue.member, id)}. Look at it again.`, cause);
}

async function notBuried(queue: ServedQueue, id: string): Promise<AssuranceError> {
  if ((await jobState(queue, id)) !== "failed") return notInState(queue, id, "release");
  return refused("release", id, "it was not buried, it failed by itself. Retry it instead.");
}

const refused = (action: string, id: string, why: string, cause?: unknown): AssuranceError =>
  new AssuranceError("ERR_ACTION_REFUSED", `Cannot ${action} job ${id}: ${why}`, cause === undefined ? {} : { cause });
