/* From what the user has (a URL, options, a client of ioredis) to one description of how to reach the store.
 *
 * It must be plain data where possible, because the pulse opens its connections in a thread and functions cannot
 * cross. Those that only decide about retries are dropped: our connections bring their own.
 */
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
  "sentinelRetryStrategy",
  "sentinelReconnectStrategy",
]);
const KEYS_OF_A_CLIENT = new Set(["offlineQueue", "commandQueue", "scripts"]);

interface ClientShape {
  readonly isCluster?: boolean;
  readonly options?: Record<string, unknown>;
  nodes?(): ClientShape[];
}

export function connectionOf(options: RedisStoreOptions): StoreConnection | undefined {
  const given = [options.url, options.connection, options.client].filter((one) => one !== undefined);
  if (given.length > 1)
    throw new AssuranceError("ERR_OPTION", "redisStore: expected one of url, connection and client, got more than one");
  if (options.client !== undefined) return ofClient(options.client as ClientShape);
  if (options.connection !== undefined) return { kind: "standalone", options: plain(options.connection) };
  return options.url === undefined ? undefined : ofUrl(options.url);
}

function ofUrl(url: string): StoreConnection {
  if (/^rediss?:\/\//.test(url)) return { kind: "standalone", url, options: {} };
  throw new AssuranceError(
    "ERR_OPTION",
    `redisStore: url: expected redis://... or rediss://..., got ${JSON.stringify(url)}`,
  );
}

function ofClient(client: ClientShape): StoreConnection {
  if (typeof client.options !== "object") {
    throw new AssuranceError(
      "ERR_OPTION",
      "redisStore: client: expected a Redis or Cluster of ioredis, got something without options; pass url or connection instead",
    );
  }
  if (client.isCluster !== true) return { kind: "standalone", options: plain(client.options) };
  const nodes = (client.nodes?.() ?? []).map((node) => ({
    host: node.options?.["host"],
    port: node.options?.["port"],
  }));
  const { redisOptions, ...rest } = client.options;
  return {
    kind: "cluster",
    nodes,
    options: { ...plain(rest), redisOptions: plain((redisOptions ?? {}) as Record<string, unknown>) },
  };
}

/** The options without what our connections decide themselves. */
function plain(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept = Object.entries(options).filter(
    ([name, value]) =>
      value !== undefined && value !== null && !DECIDE_RETRIES.has(name) && !KEYS_OF_A_CLIENT.has(name),
  );
  return Object.fromEntries(kept);
}
