/* The options of the adapter, checked once. */
import type { StoreConnection } from "@assured-jobs/core";
import { targetOf } from "./connection.ts";
import type { RedisOption } from "./connection.ts";
import { assertNames, assertRules, isFlag, isPrefix, isUnit, optional, refusal } from "./refusal.ts";
import type { Rule } from "./refusal.ts";
import type { RecoverTo } from "./requeue.ts";
import type { RubyOptions } from "./ruby/source.ts";
import type { TimestampUnit } from "./wire/timestamps.ts";
import { checkOrder } from "./worker/queue-order.ts";
import { engineOf } from "./worker/worker.ts";
import type { SidekiqWorker } from "./worker/worker.ts";

export interface SidekiqAdapterOptions {
  /** Sidekiq's Redis: `redis://host:port/db`, options of ioredis, or a client of ioredis whose options are used. */
  readonly redis: RedisOption;
  /** The worker of this process. */
  readonly worker?: SidekiqWorker;
  /** Several of them. */
  readonly workers?: readonly SidekiqWorker[];
  /** Names of queues that this process recovers without working on them. */
  readonly queues?: readonly string[];
  /** As redis-namespace writes it, e.g. `shop:`. Default: none. */
  readonly prefix?: string;
  /**
   * Where recovered jobs go. Default `front`: they are the next ones; `back`: behind all others; or another queue, but for
   * suspects, which stay where they were.
   */
  readonly recoverTo?: RecoverTo;
  /** Ruby processes to watch beside ours, and to recover from when they die. Default: none. */
  readonly ruby?: RubyOptions;
  /** Unit of `enqueued_at`, which a recovery writes anew. Default `s`, which every Sidekiq reads. */
  readonly timestamps?: TimestampUnit;
}

export interface CheckedAdapterOptions {
  readonly target: StoreConnection;
  readonly prefix: string;
  readonly workers: readonly SidekiqWorker[];
  readonly queues: readonly string[];
  readonly recoverTo: RecoverTo;
  readonly unit: TimestampUnit;
  readonly ruby: RubyOptions;
}

const WHERE = "sidekiqAdapter: ";
const isList: Rule = [(value) => Array.isArray(value), "a list"];

const RULES: Readonly<Record<string, Rule>> = {
  workers: optional(isList),
  queues: optional(isList),
  prefix: optional(isPrefix),
  timestamps: optional(isUnit),
};

/** Throws ERR_OPTION with option, expectation and value. */
export function checkAdapterOptions(options: SidekiqAdapterOptions): CheckedAdapterOptions {
  assertNames(options, ["redis", "worker", "recoverTo", "ruby", ...Object.keys(RULES)], WHERE);
  assertRules(RULES, (name) => Reflect.get(options, name), WHERE);
  const { redis, worker, workers = [], queues = [], recoverTo = "front", timestamps = "s", ruby = {} } = options;
  const all = [...(worker === undefined ? [] : [worker]), ...workers];
  return {
    target: targetOf(redis, `${WHERE}redis`),
    prefix: options.prefix ?? prefixOf(all),
    workers: all,
    queues: queues.length === 0 ? [] : checkOrder(queues, `${WHERE}queues`).names,
    recoverTo: checkRecoverTo(recoverTo),
    unit: timestamps,
    ruby: checkRuby(ruby),
  };
}

const prefixOf = ([first]: readonly SidekiqWorker[]): string =>
  (first && engineOf(Object(first) as object)?.keys.prefix) ?? "";

const isGem: Rule = [
  (gem) => typeof gem === "boolean" || isName(Reflect.get(Object(gem) as object, "namespace")),
  'true, false or { namespace: "..." }',
];
const isName = (value: unknown): boolean => typeof value === "string" && value !== "";

function checkRuby(ruby: RubyOptions): RubyOptions {
  const rules = { gem: optional(isGem), bare: optional(isFlag) };
  assertNames(ruby, Object.keys(rules), `${WHERE}ruby.`);
  assertRules(rules, (name) => Reflect.get(ruby, name), `${WHERE}ruby.`);
  return ruby;
}

function checkRecoverTo(given: RecoverTo): RecoverTo {
  if (given === "front" || given === "back") return given;
  const queue: unknown = Reflect.get(Object(given) as object, "queue");
  if (isName(queue)) return { queue: String(queue) };
  throw refusal(`${WHERE}recoverTo`, '"front", "back" or { queue: "name" }', given);
}
