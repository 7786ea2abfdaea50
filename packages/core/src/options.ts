/* Options: checked once, here, at the edge. Code wins over the environment; nonsense is refused with what was expected
 * and what was given. The environment counts in seconds (as the Ruby gem does), code in milliseconds. */
import type { QueueAdapter } from "./adapter.ts";
import { AssuranceError } from "./errors.ts";
import { defaultName } from "./instance.ts";
import type { Plugin } from "./plugin.ts";
import type { Store } from "./store.ts";

export interface AssuranceOptions {
  /** The queues of this process. At least one, except for an observer with a store. */
  readonly adapters?: readonly QueueAdapter[] | undefined;
  /** Default: ASSURED_JOBS_REDIS_URL, else the Redis of the first adapter. Never a silent localhost. */
  readonly store?: Store | undefined;
  readonly plugins?: readonly Plugin[] | undefined;
  /** `observer`: a dashboard or producer; it registers nothing, recovers nothing, may look and act. Default `worker`. */
  readonly role?: "worker" | "observer" | undefined;
  /** Name of this instance; may repeat. Default ASSURED_JOBS_INSTANCE_ID, else the host name. */
  readonly name?: string | undefined;
  /** Namespace of the derived store (a given store has its own). Default ASSURED_JOBS_NS, else `assured_jobs`. */
  readonly namespace?: string | undefined;
  /** ms between beats. Default ASSURED_JOBS_HEARTBEAT_INTERVAL (s), else 15,000. */
  readonly heartbeatInterval?: number | undefined;
  /** ms of observed time until a lease lapses; at least twice the interval. Default ASSURED_JOBS_HEARTBEAT_TTL (s), else 45,000. */
  readonly heartbeatTtl?: number | undefined;
  /** ms of observed time for which a closed connection must stay closed to be a death. Default 1,000. */
  readonly presenceGrace?: number | undefined;
  /** ms between looks for the one on duty; at most a quarter of the ttl. Default 250. */
  readonly lookInterval?: number | undefined;
  /** ms between recovery passes, beside the one for each death. Default 1,000. */
  readonly recoveryInterval?: number | undefined;
  /** ms that one pass may keep the duty of its queue at most. Default ASSURED_JOBS_RECOVERY_LOCK_TTL (s), else 300,000. */
  readonly recoveryLockTtl?: number | undefined;
  /** Deep passes after the start: how many, and ms between them. Defaults ASSURED_JOBS_DELAYED_RECOVERY_COUNT, else 1, and _INTERVAL (s), else 300,000. */
  readonly delayedRecoveryCount?: number | undefined;
  readonly delayedRecoveryInterval?: number | undefined;
  /** ms between the deep passes that follow. Default 900,000. */
  readonly deepPassInterval?: number | undefined;
  /** False: recover only when recover() is called. Default ASSURED_JOBS_AUTO_RECOVERY, else true. */
  readonly autoRecovery?: boolean | undefined;
  /** A job whose process died more often than this inside the window is buried. Default 3. */
  readonly maxRecoveries?: number | undefined;
  /** ms. Default 72 hours. */
  readonly recoveryWindow?: number | undefined;
  /** ms that stop() waits for running jobs before it hands them over. Default 25,000. */
  readonly stopTimeout?: number | undefined;
  /** True: on SIGTERM and SIGINT stop() and exit. Default false. */
  readonly signals?: boolean | undefined;
  /**
   * False: currentJob() answers undefined, and each job costs less: on Node below 24, to know the job at every moment
   * costs some microseconds in each promise that a handler makes. Default true.
   */
  readonly currentJob?: boolean | undefined;
}

/** Options as the rest of core reads them: nothing is optional, nothing is wrong. */
export interface Settings {
  readonly role: "worker" | "observer";
  readonly name: string;
  readonly heartbeatInterval: number;
  readonly heartbeatTtl: number;
  readonly presenceGrace: number;
  readonly lookInterval: number;
  readonly recoveryInterval: number;
  readonly recoveryLockTtl: number;
  readonly delayedRecoveryCount: number;
  readonly delayedRecoveryInterval: number;
  readonly deepPassInterval: number;
  readonly autoRecovery: boolean;
  readonly maxRecoveries: number;
  readonly recoveryWindow: number;
  readonly stopTimeout: number;
  readonly signals: boolean;
  readonly currentJob: boolean;
}

type Env = Readonly<Record<string, string | undefined>>;

interface NumberRule {
  readonly fallback: number;
  readonly least: number;
  readonly most?: number;
  /** Variable, and how many of our units one of its units is. */
  readonly variable?: string;
  readonly unit?: number;
}

const SECOND = 1_000;
const HOUR = 3_600_000;
/** The longest that a timer of Node can wait; a larger one would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

const NUMBERS = {
  heartbeatInterval: { fallback: 15 * SECOND, least: 10, variable: "HEARTBEAT_INTERVAL", unit: SECOND },
  heartbeatTtl: { fallback: 45 * SECOND, least: 40, variable: "HEARTBEAT_TTL", unit: SECOND },
  presenceGrace: { fallback: SECOND, least: 0 },
  lookInterval: { fallback: 250, least: 10, most: Math.floor(LONGEST_TIMER / 4) },
  recoveryInterval: { fallback: SECOND, least: 10 },
  recoveryLockTtl: { fallback: 300 * SECOND, least: SECOND, variable: "RECOVERY_LOCK_TTL", unit: SECOND },
  delayedRecoveryCount: { fallback: 1, least: 0, variable: "DELAYED_RECOVERY_COUNT", unit: 1 },
  delayedRecoveryInterval: { fallback: 300 * SECOND, least: 10, variable: "DELAYED_RECOVERY_INTERVAL", unit: SECOND },
  deepPassInterval: { fallback: 900 * SECOND, least: 10 },
  maxRecoveries: { fallback: 3, least: 0 },
  recoveryWindow: { fallback: 72 * HOUR, least: SECOND, most: Number.MAX_SAFE_INTEGER },
  stopTimeout: { fallback: 25 * SECOND, least: 0 },
} satisfies Record<string, NumberRule>;

type NumberName = keyof typeof NUMBERS;

const OTHERS = new Set([
  "adapters",
  "store",
  "plugins",
  "role",
  "name",
  "namespace",
  "autoRecovery",
  "signals",
  "currentJob",
]);

/** @throws AssuranceError ERR_OPTION: option, expected, got. */
export function readSettings(options: AssuranceOptions, env: Env = process.env): Settings {
  for (const name of Object.keys(options)) {
    if (!(name in NUMBERS) && !OTHERS.has(name))
      throw wrong(name, `one of ${[...Object.keys(NUMBERS), ...OTHERS].join(", ")}`, name);
  }
  const numbers = Object.fromEntries(
    (Object.keys(NUMBERS) as NumberName[]).map((name) => [name, readNumber(name, options[name], env)]),
  );
  const settings: Settings = {
    ...(numbers as Record<NumberName, number>),
    role: readRole(options.role),
    name: readName(options.name, env),
    autoRecovery: readBoolean("autoRecovery", options.autoRecovery, env["ASSURED_JOBS_AUTO_RECOVERY"], true),
    signals: readBoolean("signals", options.signals, undefined, false),
    currentJob: readBoolean("currentJob", options.currentJob, undefined, true),
  };
  if (settings.heartbeatTtl < 2 * settings.heartbeatInterval) {
    throw wrong(
      "heartbeatTtl",
      `at least twice the heartbeatInterval (${settings.heartbeatInterval} ms), so that one lost beat is no death`,
      settings.heartbeatTtl,
    );
  }
  if (settings.heartbeatTtl < 4 * settings.lookInterval) {
    throw wrong(
      "lookInterval",
      `at most a quarter of the heartbeatTtl (${settings.heartbeatTtl} ms), so that no single look lets a lease lapse`,
      settings.lookInterval,
    );
  }
  return settings;
}

function readNumber(name: NumberName, given: unknown, env: Env): number {
  const rule: NumberRule = NUMBERS[name];
  const variable = `ASSURED_JOBS_${rule.variable}`;
  const text = rule.variable === undefined ? undefined : env[variable];
  if (given === undefined && text !== undefined) {
    const unit = rule.unit ?? 1;
    const value = text.trim() === "" ? Number.NaN : Number(text) * unit;
    return within(rule, value) ? Math.round(value) : refuse(variable, rule, { unit, got: text });
  }
  const value = given === undefined ? rule.fallback : given;
  return within(rule, value) ? Math.round(value) : refuse(name, rule, { unit: 1, got: given });
}

const within = ({ least, most = LONGEST_TIMER }: NumberRule, value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= least && value <= most;

function refuse(
  name: string,
  { least, most = LONGEST_TIMER }: NumberRule,
  { unit, got }: { unit: number; got: unknown },
): never {
  const seconds = unit === SECOND ? " (seconds)" : "";
  throw wrong(name, `a number from ${least / unit} to ${Math.floor(most / unit)}${seconds}`, got);
}

function readBoolean(name: string, given: unknown, text: string | undefined, fallback: boolean): boolean {
  if (typeof given === "boolean") return given;
  if (given !== undefined) throw wrong(name, "true or false", given);
  if (text === undefined) return fallback;
  if (text === "true" || text === "false") return text === "true";
  throw wrong("ASSURED_JOBS_AUTO_RECOVERY", "true or false", text);
}

function readRole(role: unknown): "worker" | "observer" {
  if (role === undefined) return "worker";
  if (role === "worker" || role === "observer") return role;
  throw wrong("role", '"worker" or "observer"', role);
}

function readName(given: unknown, env: Env): string {
  const name = given ?? env["ASSURED_JOBS_INSTANCE_ID"] ?? defaultName(env);
  if (typeof name === "string" && name.trim() !== "" && name.length <= 200) return name;
  throw wrong("name", "1 to 200 characters", name);
}

/** The adapters, each once; a worker needs one. */
export function readAdapters(adapters: AssuranceOptions["adapters"], role: Settings["role"]): readonly QueueAdapter[] {
  const given: readonly QueueAdapter[] = adapters ?? [];
  if (!Array.isArray(given)) throw wrong("adapters", "an array of adapters", adapters);
  for (const adapter of given) {
    if (typeof adapter?.heldBy !== "function")
      throw wrong("adapters", "adapters, as their packages make them", adapter);
  }
  if (new Set(given).size !== given.length) throw wrong("adapters", "each adapter once", "the same adapter twice");
  if (role === "worker" && given.length === 0) {
    throw wrong("adapters", 'at least one, as its package makes it, or role: "observer"', given);
  }
  return given;
}

/** The plugins. One that is none would fail at each orphan, so it is refused here. */
export function readPlugins(plugins: AssuranceOptions["plugins"]): readonly Plugin[] {
  const given: readonly Plugin[] = plugins ?? [];
  if (!Array.isArray(given)) throw wrong("plugins", "an array of plugins", plugins);
  const isHook = (hook: unknown): boolean => hook === undefined || typeof hook === "function";
  for (const plugin of given) {
    if (typeof plugin?.name !== "string" || !isHook(plugin.beforeRequeue) || !isHook(plugin.beforeSettle))
      throw wrong("plugins", "plugins, e.g. uniqueLocks()", plugin);
  }
  return given;
}

/** The store that was given, if one was. */
export function readStore(store: AssuranceOptions["store"]): Store | undefined {
  if (store === undefined || typeof store?.open === "function") return store;
  throw wrong("store", "a store, e.g. redisStore({ url })", store);
}

export function wrong(name: string, expected: string, got: unknown): AssuranceError {
  return new AssuranceError("ERR_OPTION", `${name}: expected ${expected}, got ${shown(got)}`);
}

function shown(got: unknown): string {
  if (typeof got === "string") return JSON.stringify(got);
  if (typeof got === "function") return "a function";
  if (typeof got === "object" && got !== null) return got.constructor?.name ?? "object";
  return String(got);
}
