/* Options of the client: checked once, here. */
import type { StoreConnection } from "@assured-jobs/core";
import { targetOf } from "../connection.ts";
import type { RedisOption } from "../connection.ts";
import type { TimestampUnit } from "../wire/timestamps.ts";
import type { SidekiqVersion } from "../worker/options.ts";
import {
  assertNames,
  assertRules,
  isChain,
  isFlag,
  isPrefix,
  isUnit,
  isVersion,
  optional,
  refusal,
} from "../refusal.ts";
import type { Rule } from "../refusal.ts";
import type { ClientMiddleware } from "./types.ts";

export interface SidekiqClientOptions {
  /** Sidekiq's Redis: `redis://host:port/db`, options of ioredis, or a client of ioredis whose options are used. */
  readonly redis: RedisOption;
  /** In front of every key, as redis-namespace writes it for Sidekiq 6: `shop:`. Default none. */
  readonly prefix?: string | undefined;
  /** Version of the Ruby side. Default: asked from its running processes when it is first needed, else 7. */
  readonly sidekiq?: SidekiqVersion | undefined;
  /** How times are written. Default `s`: float seconds, which all versions read. `ms` is read by Sidekiq 8 only. */
  readonly timestamps?: TimestampUnit | undefined;
  /** Around each push, the first one outermost. Default none. */
  readonly middleware?: readonly ClientMiddleware[] | undefined;
  /** False: do not refuse arguments that change on their way through JSON. Default true. */
  readonly strictArgs?: boolean | undefined;
}

/** The options, whole. */
export interface ClientSettings {
  readonly target: StoreConnection;
  readonly prefix: string;
  readonly sidekiq: SidekiqVersion | undefined;
  readonly timestamps: TimestampUnit;
  readonly middleware: readonly ClientMiddleware[];
  readonly strictArgs: boolean;
}

const WHERE = "SidekiqClient: ";
const RULES: Readonly<Record<string, Rule>> = {
  prefix: optional(isPrefix),
  sidekiq: optional(isVersion),
  timestamps: optional(isUnit),
  middleware: optional(isChain),
  strictArgs: optional(isFlag),
};

/** @throws AssuranceError ERR_OPTION: option, expected, got. */
export function readOptions(options: SidekiqClientOptions): ClientSettings {
  assertNames(options, ["redis", ...Object.keys(RULES)], WHERE);
  assertRules(RULES, (name) => Reflect.get(options, name), WHERE);
  const { redis, prefix = "", sidekiq, timestamps = "s", middleware = [], strictArgs = true } = options;
  const isMisread = timestamps === "ms" && sidekiq !== undefined && sidekiq < 8;
  if (isMisread) throw refusal(`${WHERE}timestamps`, `"s": Sidekiq ${sidekiq} reads no milliseconds`, timestamps);
  return {
    target: targetOf(redis, `${WHERE}redis`),
    prefix,
    sidekiq,
    timestamps,
    middleware: [...middleware],
    strictArgs,
  };
}
