/* BullMQ's own moves, one private touch a line; test/touches.test.ts holds each against every supported version.
 *
 * Safe because BullMQ fences them itself: each compares the lock's token and moves in one script. Token "0", which
 * skips that comparison, is never used.
 */
import type { NativeJob, NativeMember } from "./native.ts";
import { primitivesOf } from "./recognise.ts";
import { withinDeadline } from "@assured-jobs/core/adapter-kit";

/** BullMQ's numeric error codes, the same in all versions. */
export const CODE = { missing: -1, unlocked: -2, elsewhere: -3, scheduled: -8, mismatch: -6 } as const;

/** The code of an error that BullMQ threw; undefined for any other error. */
export function codeOf(error: unknown): number | undefined {
  const code: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined;
  return typeof code === "number" ? code : undefined;
}

export const toWait = (member: NativeMember, id: string, token: string): Promise<unknown> =>
  withinDeadline(member.name, primitivesOf(member).moveJobFromActiveToWait(id, token));

export const toDelayed = (member: NativeMember, id: string, token: string, delay: number): Promise<unknown> =>
  withinDeadline(member.name, primitivesOf(member).moveToDelayed(id, Date.now(), delay, token, { skipAttempt: true }));

export const promote = (member: NativeMember, id: string): Promise<void> =>
  withinDeadline(member.name, primitivesOf(member).promote(id));

export const stateOf = (member: NativeMember, id: string): Promise<string> =>
  withinDeadline(member.name, primitivesOf(member).getState(id));

export const loadJob = (member: NativeMember, id: string): Promise<NativeJob | undefined> =>
  withinDeadline(member.name, member.Job.fromId(member, id));

/** Fails the job for good, whatever its attempts say, and keeps it, whatever its options say. */
export function toFailed(member: NativeMember, job: NativeJob, token: string, reason: string): Promise<unknown> {
  job.opts.removeOnFail = false; // in memory only: BullMQ reads it from there
  const error = Object.assign(new Error(reason), { name: "UnrecoverableError" }); // BullMQ goes by the name
  return withinDeadline(member.name, job.moveToFailed(error, token, false));
}
