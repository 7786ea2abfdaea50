/* The end of a run, as the queue must see it.
 *
 * A lock can lapse while its run goes on: the path to Redis was down, or Redis stood still. BullMQ then refuses the
 * finish, although nobody took the job. So a finish refused for a missing lock puts the lock back, if the run is still
 * the job's own, and is tried once more; a run that was given away stays refused.
 * A handler that fails because its run was given up has not failed: no attempt is recorded.
 */
import { AssuranceError } from "@assured-jobs/core";
import type { Run, RunControl } from "@assured-jobs/core";
import { CODE, codeOf } from "./moves.ts";
import type { NativeJob } from "./native.ts";
import { reasonOf } from "@assured-jobs/core/adapter-kit";

/** What a refused finish may need. One for all runs of a worker. */
export interface Referee {
  /** Puts the lock back. False when the run was given away. */
  relock(run: Run): Promise<boolean>;
  /** Puts the job back in front of its queue. */
  giveBack(run: Run): Promise<void>;
  /** The queue refused this run's end. */
  refused(run: Run, error: unknown): void;
}

/** A run, as its end needs it. */
export interface Ending {
  readonly run: Run;
  readonly control: RunControl;
  readonly referee: Referee;
}

const GUARD = Symbol("assured-jobs: end of the run");

interface Guard extends Ending {
  /** BullMQ's own methods, of the job's class or whoever changed them before us. */
  readonly complete: NativeJob["moveToCompleted"];
  readonly fail: NativeJob["moveToFailed"];
}

interface GuardedJob extends NativeJob {
  [GUARD]: Guard;
}

/** Makes `job`, which is one run's own object, end as described above. */
export function guardFinish(job: NativeJob, { run, control, referee }: Ending): void {
  const guarded = job as GuardedJob;
  // oxlint-disable-next-line typescript/unbound-method -- called on the same job; bind() would cost every job two functions
  guarded[GUARD] = { run, control, referee, complete: job.moveToCompleted, fail: job.moveToFailed };
  guarded.moveToCompleted = moveToCompleted;
  guarded.moveToFailed = moveToFailed;
}

/* The same two functions for every job: what a job costs here, every job pays. */
function moveToCompleted(this: NativeJob, ...args: unknown[]): Promise<unknown> {
  const guard = (this as GuardedJob)[GUARD];
  const accept = (): Promise<unknown> => guard.complete.apply(this, args);
  return accept().catch((error: unknown) => settle(guard, error, accept));
}

async function moveToFailed(this: NativeJob, error: Error, token: string, fetchNext?: boolean): Promise<unknown> {
  const guard = (this as GuardedJob)[GUARD];
  if (guard.control.givenUp) throw await givenUp(guard);
  const stacktrace = [...(this.stacktrace ?? [])];
  const accept = (): Promise<unknown> => {
    this.stacktrace = [...stacktrace]; // a second try must not add the same trace again
    return guard.fail.call(this, error, token, fetchNext);
  };
  return accept().catch((refusal: unknown) => settle(guard, refusal, accept));
}

/* Tried once more when the lock was put back; otherwise the refusal stands. */
async function settle(guard: Guard, error: unknown, accept: () => Promise<unknown>): Promise<unknown> {
  if (!FENCED.has(codeOf(error) ?? 0)) throw passes(error) ? again("The server cannot take it now", error) : error;
  if (codeOf(error) === CODE.unlocked && (await relocked(guard))) return accept();
  guard.referee.refused(guard.run, error);
  throw error;
}

async function relocked({ referee, run }: Guard): Promise<boolean> {
  try {
    return await referee.relock(run);
  } catch (cause) {
    throw again("The lock could not be put back", cause);
  }
}

/* No answer is no refusal: an error that BullMQ takes for a lost connection makes it try the whole finish again. */
function again(what: string, cause: unknown): Error {
  const message = `${what}, the finish is tried again: ${reasonOf(cause)}`;
  return Object.assign(new Error(message, { cause }), { code: "ECONNREFUSED" });
}

/* Answers of a server that did nothing and will work again: busy, full, starting, without its disk, its primary, its
 * replicas, its slots, or a script that it forgot twice in a row. To BullMQ each of them would be the handler's own failure.
 * In Redis 6 a script puts more before. */
const PASSING = /(?:^| -)(?:BUSY|OOM|LOADING|MISCONF|READONLY|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOSCRIPT)\b/;

const passes = (error: unknown): boolean => PASSING.test(reasonOf(error));

const FENCED: ReadonlySet<number> = new Set([CODE.unlocked, CODE.mismatch, CODE.missing]);

/* On a handover the job goes back here and now; a fenced run's job is already being recovered by others. */
async function givenUp({ control, referee, run }: Guard): Promise<AssuranceError> {
  const cause = control.givenUp;
  const code = cause instanceof AssuranceError && cause.code === "ERR_HANDOVER" ? "ERR_HANDOVER" : "ERR_FENCED";
  if (code === "ERR_HANDOVER") await referee.giveBack(run);
  return new AssuranceError(
    code,
    `This run of job ${run.id} was given up and is not recorded as failed: ${reasonOf(cause)}`,
    { cause },
  );
}
