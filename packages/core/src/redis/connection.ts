/* From what the user has (a URL, options, a client of ioredis) to one description of how to reach the store.
 *
 * It must be plain data where possible, because the pulse opens its connections in a thread and functions cannot
 * cross. Those that only decide about retries are dropped: our connections bring their own.
 */
import { lookup, resolveSrv } from "node:dns";
import type { Cluster, Redis } from "ioredis";
import type { StoreConnection } from "../adapter.ts";
import { AssuranceError } from "../errors.ts";

/** One of `url`, `connection`, `client`. None: ASSURED_JOBS_REDIS_URL. */
export interface RedisStoreOptions {
  /** `redis://` or `rediss://`. */
  readonly url?: string | undefined;
  /** Options of ioredis, Sentinel included. */
  readonly connection?: Readonly<Record<string, unknown>> | undefined;
  /** A client of yours (Redis or Cluster of ioredis 5 or 6): its options are used, the client itself is not. */
  readonly client?: Redis | Cluster | object | undefined;
  /** Default ASSURED_JOBS_NS, else `assured_jobs`. */
  readonly namespace?: string | undefined;
  /** False: never use presence, e.g. behind a proxy that answers PUBSUB itself. Default true. */
  readonly presence?: boolean | undefined;
}

const DECIDE_RETRIES = new Set([
  "retryStrategy",
  "reconnectOnError",
  "clusterRetryStrategy",
  "clusterNodeRetryStrategy",
  "sentinelRetryStrategy",
  "sentinelReconnectStrategy",
]);
/** Functions that ioredis puts into the options of every Cluster, and puts there again. */
const DEFAULTS = new Set<unknown>([lookup, resolveSrv]);
const KEYS_OF_A_CLIENT = new Set(["offlineQueue", "commandQueue", "scripts"]);

interface ClientShape {
  readonly isCluster?: boolean;
  readonly options?: Record<string, unknown>;
  readonly startupNodes?: readonly unknown[];
  nodes?(): ClientShape[];
}

const OPTIONS: readonly (keyof RedisStoreOptions)[] = ["url", "connection", "client", "namespace", "presence"];

export function connectionOf(options: RedisStoreOptions): StoreConnection | undefined {
  for (const name of Object.keys(options)) {
    if (!(OPTIONS as readonly string[]).includes(name)) throw wrong(name, `one of ${OPTIONS.join(", ")}`, name);
  }
  const given = [options.url, options.connection, options.client].filter((one) => one !== undefined);
  if (given.length > 1)
    throw new AssuranceError("ERR_OPTION", "redisStore: expected one of url, connection and client, got more than one");
  if (options.client !== undefined) return ofClient(options.client as ClientShape);
  if (options.connection !== undefined) return ofOptions(options.connection);
  return options.url === undefined ? undefined : ofUrl(options.url);
}

function ofUrl(url: unknown): StoreConnection {
  if (typeof url === "string" && /^rediss?:\/\//.test(url) && URL.canParse(url) && new URL(url).hostname !== "") {
    return { kind: "standalone", url, options: {} };
  }
  const shown = typeof url === "string" ? url.replace(/\/\/.*@/, "//***@") : url; // a password is nobody's business
  throw wrong("url", "redis://host:port or rediss://host:port", shown);
}

function ofOptions(options: Readonly<Record<string, unknown>>): StoreConnection {
  if (typeof options !== "object" || options === null) throw wrong("connection", "options of ioredis", options);
  if (!namesServer(options)) {
    throw new AssuranceError(
      "ERR_STORE_MISSING",
      "redisStore: connection: expected host, port, path or sentinels, got none. A silent localhost would be the wrong server sooner or later.",
    );
  }
  const port = options["port"] ?? 6379;
  const valid = Number.isInteger(Number(port)) && Number(port) > 0 && Number(port) < 65_536;
  if (!valid) throw wrong("connection.port", "1 to 65535", port);
  return { kind: "standalone", options: plain(options) };
}

const namesServer = (options: Readonly<Record<string, unknown>>): boolean =>
  ["host", "port", "path", "sentinels"].some((name) => options[name] !== undefined && options[name] !== null);

function ofClient(client: ClientShape | null): StoreConnection {
  const options = client?.options;
  if (!client || typeof options !== "object" || (client.isCluster !== true && !namesServer(options))) {
    throw new AssuranceError(
      "ERR_OPTION",
      "redisStore: client: expected a Redis or Cluster of ioredis, got something that does not name its server; pass url or connection instead",
    );
  }
  return client.isCluster === true ? ofCluster(client, options) : { kind: "standalone", options: plain(options) };
}

/* A client that is not connected yet knows only the nodes that it was given. */
function ofCluster(client: ClientShape, { redisOptions, ...rest }: Record<string, unknown>): StoreConnection {
  const found = (client.nodes?.() ?? []).map((node) => ({
    host: node.options?.["host"],
    port: node.options?.["port"],
  }));
  return {
    kind: "cluster",
    nodes: [...(client.startupNodes ?? []), ...found],
    options: { ...plain(rest), redisOptions: plain((redisOptions ?? {}) as Record<string, unknown>) },
  };
}

const wrong = (name: string, expected: string, got: unknown): AssuranceError =>
  new AssuranceError("ERR_OPTION", `redisStore: ${name}: expected ${expected}, got ${JSON.stringify(got)}`);

/** The options without what our connections decide themselves. */
function plain(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept = Object.entries(options).filter(
    ([name, value]) =>
      value !== undefined &&
      value !== null &&
      !DECIDE_RETRIES.has(name) &&
      !KEYS_OF_A_CLIENT.has(name) &&
      !DEFAULTS.has(value),
  );
  return Object.fromEntries(kept);
}
