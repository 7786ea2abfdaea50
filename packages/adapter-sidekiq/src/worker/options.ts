/* The options of a worker, checked once. */
import type { StoreConnection } from "@assured-jobs/core";
import { isPlainObject } from "../client/strict-args.ts";
import { targetOf } from "../connection.ts";
import type { RedisOption } from "../connection.ts";
import {
  assertNames,
  assertRules,
  isChain,
  isFlag,
  isPrefix,
  isUnit,
  isVersion,
  isWhole,
  optional,
  refusal,
} from "../refusal.ts";
import type { Rule } from "../refusal.ts";
import type { TimestampUnit } from "../wire/timestamps.ts";
import type { DeathHandler, ServerMiddleware, SidekiqHandler, SidekiqJobClass } from "./handlers.ts";
import type { WorkerSet } from "./process-record.ts";
import { checkOrder } from "./queue-order.ts";
import type { QueueOrder } from "./queue-order.ts";

/** Major version of the Sidekiq that is beside: it decides the jitter of retries and which books are kept. */
export type SidekiqVersion = 6 | 7 | 8;

export interface SidekiqWorkerOptions {
  /** `redis://host:port/db`, options of ioredis, or a client of ioredis whose options are used. */
  readonly redis: RedisOption;
  /** As redis-namespace writes it, e.g. `shop:`. Default: none, as in Sidekiq 7 and newer. */
  readonly prefix?: string;
  /** A list: strictly in this order. Weights: `{ critical: 3, default: 1 }`. Default: `["default"]`. */
  readonly queues?: QueueOrder;
  /** Jobs at a time. Default 10. */
  readonly concurrency?: number;
  /** Several sets of queues, each with slots of its own (Sidekiq: capsules), instead of `queues` and `concurrency`. */
  readonly sets?: readonly { readonly queues: QueueOrder; readonly concurrency: number }[];
  /** By class: what does the job, alone or with the options of the class. ActiveJobs under their own name. */
  readonly handlers?: Readonly<Record<string, SidekiqHandler | SidekiqJobClass>>;
  /** Around each run, the first one outermost. */
  readonly middleware?: readonly ServerMiddleware[];
  /** Called for each job that is dead. */
  readonly deathHandlers?: readonly DeathHandler[];
  /** Default: read from the processes that Sidekiq lists; 7 when there are none. */
  readonly sidekiq?: SidekiqVersion;
  /** Unit of the times in payloads. Default `s`, which every Sidekiq reads; `ms` only where all are 8 or newer. */
  readonly timestamps?: TimestampUnit;
  /** Whether this process moves scheduled jobs and retries that are due. Default true; beside Ruby it may be false. */
  readonly poll?: boolean;
  /** The longest wait between two looks for those, ms. Default 5,000. */
  readonly pollInterval?: number;
  /** How long stop() waits for running jobs before it gives them back, ms. Default 25,000. */
  readonly stopTimeout?: number;
  /** Entries of the dead set, and how long they are kept, s. Default 10,000 and 180 days, as in Sidekiq. */
  readonly deadSet?: { readonly max?: number; readonly timeout?: number };
  /** What Sidekiq's Web shows beside the process. Default: none. */
  readonly tag?: string;
  readonly labels?: readonly string[];
  /**
   * TERM and TTIN from Sidekiq's Web (TSTP always quietens). Default for TERM: the signal is raised in this process where
   * somebody listens to SIGTERM, as Ruby does it; otherwise the worker stops. TTIN tells what runs, by a warning.
   */
  readonly onSignal?: (signal: "TERM" | "TTIN") => void;
}

export interface CheckedOptions {
  readonly target: StoreConnection;
  readonly prefix: string;
  readonly sets: readonly WorkerSet[];
  readonly sidekiq: SidekiqVersion | undefined;
  readonly unit: TimestampUnit;
  readonly poll: boolean;
  readonly pollInterval: number;
  readonly stopTimeout: number;
  readonly deadSet: { readonly max: number; readonly timeout: number };
}

const WHERE = "SidekiqWorker: ";
const isObject: Rule = [(value) => typeof value === "object" && value !== null && !Array.isArray(value), "an object"];
const isText: Rule = [(value) => typeof value === "string", "a text"];
const isTexts: Rule = [
  (value) => Array.isArray(value) && value.every((one) => typeof one === "string"),
  "a list of texts",
];
const isFunction: Rule = [(value) => typeof value === "function", "a function"];

const RULES: Readonly<Record<string, Rule>> = {
  prefix: optional(isPrefix),
  concurrency: optional(isWhole(1)),
  handlers: optional(isObject),
  middleware: optional(isChain),
  deathHandlers: optional(isChain),
  sidekiq: optional(isVersion),
  timestamps: optional(isUnit),
  poll: optional(isFlag),
  pollInterval: optional(isWhole(10)),
  stopTimeout: optional(isWhole(0)),
  deadSet: optional(isObject),
  tag: optional(isText),
  labels: optional(isTexts),
  onSignal: optional(isFunction),
};
const DEAD_SET: Readonly<Record<string, Rule>> = { max: optional(isWhole(1)), timeout: optional(isWhole(1)) };
const JOB_CLASS: Readonly<Record<string, Rule>> = {
  retry: optional([
    (value) => typeof value === "boolean" || isWhole(0)[0](value),
    "true, false or a whole number from 0",
  ]),
  retryIn: optional(isFunction),
  retriesExhausted: optional(isFunction),
};
const HALF_A_YEAR = 180 * 24 * 3_600;

/** Throws ERR_OPTION with option, expectation and value. */
export function checkOptions(options: SidekiqWorkerOptions): CheckedOptions {
  assertNames(options, ["redis", "queues", "sets", ...Object.keys(RULES)], WHERE);
  assertRules(RULES, (name) => Reflect.get(options, name), WHERE);
  const { redis, prefix = "", sidekiq, timestamps = "s" } = options;
  if (timestamps === "ms" && sidekiq !== undefined && sidekiq < 8)
    throw refusal(`${WHERE}timestamps`, `"s": Sidekiq ${sidekiq} reads no milliseconds`, timestamps);
  const { poll = true, pollInterval = 5_000, stopTimeout = 25_000 } = options;
  return {
    target: targetOf(redis, `${WHERE}redis`),
    sets: setsOf(options),
    unit: timestamps,
    deadSet: deadSetOf(options),
    prefix,
    sidekiq,
    poll,
    pollInterval,
    stopTimeout,
  };
}

function deadSetOf({ deadSet = {} }: SidekiqWorkerOptions): CheckedOptions["deadSet"] {
  assertNames(deadSet, Object.keys(DEAD_SET), `${WHERE}deadSet.`);
  assertRules(DEAD_SET, (name) => Reflect.get(deadSet, name), `${WHERE}deadSet.`);
  const { max = 10_000, timeout = HALF_A_YEAR } = deadSet;
  return { max, timeout };
}

/** Throws ERR_OPTION for what is no handler. */
export function classOfHandler(name: string, handler: SidekiqHandler | SidekiqJobClass): SidekiqJobClass {
  const jobClass = typeof handler === "function" ? { perform: handler } : handler;
  if (typeof jobClass?.perform !== "function")
    throw refusal(`${WHERE}handlers.${name}`, "a function, or an object with perform", handler);
  if (isPlainObject(jobClass))
    assertNames(jobClass, ["perform", ...Object.keys(JOB_CLASS)], `${WHERE}handlers.${name}.`);
  assertRules(JOB_CLASS, (option) => Reflect.get(jobClass, option), `${WHERE}handlers.${name}.`);
  return jobClass;
}

function setsOf({ sets, queues, concurrency }: SidekiqWorkerOptions): readonly WorkerSet[] {
  if (sets === undefined)
    return [{ ordering: checkOrder(queues ?? ["default"], `${WHERE}queues`), concurrency: concurrency ?? 10 }];
  if (queues !== undefined || concurrency !== undefined)
    throw refusal(`${WHERE}sets`, "sets, or queues and concurrency", "both");
  if (!Array.isArray(sets) || sets.length === 0) throw refusal(`${WHERE}sets`, "at least one set", sets);
  return sets.map((set, at) => {
    const where = `${WHERE}sets[${at}].`;
    assertRules({ concurrency: isWhole(1) }, () => set.concurrency, where);
    return { ordering: checkOrder(set.queues, `${where}queues`), concurrency: set.concurrency };
  });
}
