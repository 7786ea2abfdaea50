/* Tells what the user gave us, before anything is touched: a mistake is a sentence at construction, not a job that goes
 * to the wrong Redis. Only shapes are looked at, since the user's copy of Bee-Queue need not be the one we were tested
 * with. */
import { AssuranceError } from "@assured-jobs/core";
import type { BeeQueue, NativeQueue } from "./native.ts";

const METHODS = [
  "_waitForJob",
  "_runJob",
  "_preventStall",
  "_finishJob",
  "_checkStalledJobs",
  "_evalScriptOn",
  "createJob",
  "toKey",
];

/** The queue behind `candidate`, or an AssuranceError that says what is wrong with it. */
export function recogniseQueue(candidate: BeeQueue): NativeQueue {
  if (!has(candidate, "createJob") || !has(candidate, "checkStalledJobs")) throw notAQueue(candidate);
  if (!METHODS.every((method) => has(candidate, method))) throw unsupported(candidate.name);
  const queue = candidate as unknown as NativeQueue;
  if (isForeignClient(queue.settings.redis)) throw foreignClient(queue.name);
  return queue;
}

/* Bee goes by the name of the class, and takes any other client for options without a host: its jobs would go to
 * localhost. A minified redis 3 client is one of those. */
function isForeignClient(redis: unknown): boolean {
  const looksLikeOne = ["sendCommand", "send_command", "duplicate", "connect"].some((method) => has(redis, method));
  const isKnown = has(redis, "internal_send_command") && (redis as object).constructor.name === "RedisClient";
  return looksLikeOne && !isKnown;
}

function notAQueue(candidate: unknown): AssuranceError {
  const got = typeof candidate === "object" && candidate !== null ? candidate.constructor?.name : typeof candidate;
  return new AssuranceError(
    "ERR_OPTION",
    `beeAdapter: queues must contain Bee-Queue Queue objects, got ${got ?? "an object"}. Pass the Queue itself, as made by new Queue(...).`,
  );
}

const unsupported = (queue: string): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNSUPPORTED",
    `The Queue "${queue}" lacks methods by which its runs are followed. Use bee-queue 2.0.0 or newer of version 2.`,
  );

const foreignClient = (queue: string): AssuranceError =>
  new AssuranceError(
    "ERR_OPTION",
    `beeAdapter: the Queue "${queue}" was given a Redis client that Bee-Queue does not know (ioredis, redis 4 or newer, or a minified redis 3). It takes that for options and connects to localhost. Give it connection options, a URL, or a client of redis 3.`,
  );

const has = (candidate: unknown, method: string): boolean =>
  typeof candidate === "object" && candidate !== null && typeof Reflect.get(candidate, method) === "function";
