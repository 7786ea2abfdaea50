/* Tells what the user gave us, before anything is touched: a mistake is a sentence at construction, not a crash in a
 * recovery. Only shapes are looked at, since the user's copy of BullMQ need not be the one we were tested with. */
import { AssuranceError } from "@assured-jobs/core";
import type { BullmqQueue, BullmqWorker, NativeMember, NativeWorker, Primitives } from "./native.ts";

const OLDEST = "5.64";

/** The worker behind `candidate`, or an AssuranceError that says what is wrong with it. */
export function recogniseWorker(candidate: BullmqWorker): NativeWorker {
  if (!has(candidate, "processJob")) throw notA("Worker", "workers", candidate);
  if (!has(candidate, "cancelJob") || !isTracking(candidate)) throw tooOld(candidate.name);
  checkBackend(candidate as unknown as NativeMember);
  return candidate as unknown as NativeWorker;
}

/** The queue behind `candidate`, or an AssuranceError that says what is wrong with it. */
export function recogniseQueue(candidate: BullmqQueue): NativeMember {
  if (!has(candidate, "getJob") || !has(candidate, "toKey")) throw notA("Queue", "queues", candidate);
  checkBackend(candidate as unknown as NativeMember);
  return candidate as unknown as NativeMember;
}

export const isWorker = (candidate: object): candidate is BullmqWorker => has(candidate, "processJob");

/** BullMQ's own moves, wherever this version keeps them. */
export function primitivesOf(member: NativeMember): Primitives {
  return (member.getBackend === undefined ? member.scripts : member.getBackend()) as Primitives;
}

function checkBackend(member: NativeMember): void {
  const primitives = member.getBackend === undefined ? member.scripts : member.getBackend();
  if (!has(primitives, "moveJobFromActiveToWait")) throw tooOld(member.name);
  if (member.getBackend !== undefined && !("client" in (primitives as object))) throw notRedis(member.name);
}

function notA(kind: string, option: string, candidate: unknown): AssuranceError {
  const got = typeof candidate === "object" && candidate !== null ? candidate.constructor?.name : typeof candidate;
  return new AssuranceError(
    "ERR_OPTION",
    `bullmqAdapter: ${option} must contain BullMQ ${kind} objects, got ${got ?? "an object"}. Pass the ${kind} itself, as made by new ${kind}(...).`,
  );
}

function tooOld(queue: string): AssuranceError {
  return new AssuranceError(
    "ERR_QUEUE_UNSUPPORTED",
    `The BullMQ object for queue "${queue}" comes from a version without what recovery needs (job cancellation, fenced moves). Use bullmq ${OLDEST} or newer.`,
  );
}

function notRedis(queue: string): AssuranceError {
  return new AssuranceError(
    "ERR_QUEUE_UNSUPPORTED",
    `Queue "${queue}" runs on a BullMQ backend that is not Redis. Its move back to the queue is not safe against a second recoverer, so only the Redis backend can be assured.`,
  );
}

const has = (candidate: unknown, method: string): boolean =>
  typeof candidate === "object" && candidate !== null && typeof Reflect.get(candidate, method) === "function";

const isTracking = (worker: object): boolean => {
  const manager: unknown = Reflect.get(worker, "lockManager");
  return typeof manager === "object" && manager !== null && Reflect.get(manager, "trackedJobs") instanceof Map;
};
