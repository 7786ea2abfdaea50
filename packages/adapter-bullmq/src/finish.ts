/* The end of a run, as the queue must see it.
 *
 * A lock can lapse while its run goes on: the path to Redis was down, or Redis stood still. BullMQ then refuses the
 * finish, although nobody took the job. So a finish refused for a missing lock puts the lock back, if the run is still
 * the job's own, and is tried once more; a run that was given away stays refused.
 * A handler that fails because its run was given up has not failed: no attempt is recorded.
 */
import { AssuranceError } from "@assured-jobs/core";
import type { RunControl } from "@assured-jobs/core";
import { CODE, codeOf } from "./moves.ts";
import type { NativeJob } from "./native.ts";
import { reasonOf } from "./reason.ts";

/** A run, as its end needs it. */
export interface Ending {
  readonly control: RunControl;
  /** Puts the lock back. False when the run was given away. */
  relock(): Promise<boolean>;
  /** Puts the job back in front of its queue. */
  giveBack(): Promise<void>;
  /** The queue refused this run's end. */
  refused(error: unknown): void;
}

/** Makes `job`, which is one run's own object, end as described above. */
export function guardFinish(job: NativeJob, ending: Ending): void {
  const complete = job.moveToCompleted.bind(job);
  const fail = job.moveToFailed.bind(job);

  job.moveToCompleted = (...args) => finish(ending, () => complete(...args));
  job.moveToFailed = async (error, token, fetchNext) => {
    if (ending.control.givenUp) throw await givenUp(job, ending);
    const stacktrace = [...(job.stacktrace ?? [])];
    return finish(ending, () => {
      job.stacktrace = [...stacktrace]; // a second try must not add the same trace again
      return fail(error, token, fetchNext);
    });
  };
}

async function finish<T>(ending: Ending, accept: () => Promise<T>): Promise<T> {
  try {
    return await accept();
  } catch (error) {
    const refused = FENCED.has(codeOf(error) ?? 0);
    if (!refused) throw error;
    if (codeOf(error) === CODE.unlocked && (await relocked(ending))) return accept();
    ending.refused(error);
    throw error;
  }
}

/* No answer is no refusal: an error that BullMQ takes for a lost connection makes it try the whole finish again. */
async function relocked(ending: Ending): Promise<boolean> {
  try {
    return await ending.relock();
  } catch (cause) {
    const message = `The lock could not be put back, the finish is tried again: ${reasonOf(cause)}`;
    throw Object.assign(new Error(message, { cause }), { code: "ECONNREFUSED" });
  }
}

const FENCED: ReadonlySet<number> = new Set([CODE.unlocked, CODE.mismatch, CODE.missing]);

/* On a handover the job goes back here and now; a fenced run's job is already being recovered by others. */
async function givenUp(job: NativeJob, ending: Ending): Promise<AssuranceError> {
  const cause = ending.control.givenUp;
  const code = cause instanceof AssuranceError && cause.code === "ERR_HANDOVER" ? "ERR_HANDOVER" : "ERR_FENCED";
  if (code === "ERR_HANDOVER") await ending.giveBack();
  return new AssuranceError(
    code,
    `This run of job ${job.id ?? ""} was given up and is not recorded as failed: ${reasonOf(cause)}`,
    { cause },
  );
}
