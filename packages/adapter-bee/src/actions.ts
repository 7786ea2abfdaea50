/* What a person may do with a job. Each is one script that compares first and is refused when the job is not where it
 * was seen. */
import { AssuranceError } from "@assured-jobs/core";
import type { JobState } from "@assured-jobs/core";
import type { Script } from "./redis.ts";
import { discard, promote, putBack, state } from "./scripts/people.ts";
import type { ServedQueue } from "./served-queue.ts";

const STATES: Readonly<Record<string, JobState>> = {
  held: "held",
  finished: "finished",
  failed: "failed",
  buried: "failed",
  missing: "missing",
};

export async function jobState(queue: ServedQueue, id: string): Promise<JobState> {
  return STATES[await act(queue, state, id)] ?? "waiting";
}

/** Makes a delayed job due now; does nothing for any other. */
export async function promoteJob(queue: ServedQueue, id: string): Promise<void> {
  await act(queue, promote, id);
}

export async function retryFailed(queue: ServedQueue, id: string): Promise<void> {
  const found = await act(queue, putBack, id, "failed");
  if (found !== "") throw refused("retry", id, why(found));
}

export async function releaseBuried(queue: ServedQueue, id: string): Promise<void> {
  const found = await act(queue, putBack, id, "buried");
  if (found === "failed") throw refused("release", id, "it was not buried, it failed by itself. Retry it instead.");
  if (found !== "") throw refused("release", id, why(found));
}

export async function discardJob(queue: ServedQueue, id: string): Promise<void> {
  const found = await act(queue, discard, id);
  if (found !== "") throw refused("discard", id, why(found));
}

async function act(queue: ServedQueue, script: Script, id: string, expected = ""): Promise<string> {
  const { keys } = queue;
  const held = [keys.owner, keys.active, keys.stalling, keys.waiting, keys.jobs];
  const where = [...held, keys.succeeded, keys.failed, keys.buried, keys.parked, keys.delayed];
  return String(await queue.run(script, [...where, id, expected]));
}

function why(found: string): string {
  if (found === "missing") return "the queue knows no such job.";
  if (found === "held") return "a worker holds it. Wait until it has ended, or until its holder was declared dead.";
  return `it is ${found}. Look at it again.`;
}

const refused = (action: string, id: string, reason: string): AssuranceError =>
  new AssuranceError("ERR_ACTION_REFUSED", `Cannot ${action} job ${id}: ${reason}`);
