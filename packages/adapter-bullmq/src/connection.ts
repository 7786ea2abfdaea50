/* How to reach the Redis of a queue, as the default for the store. Read from what the user gave to BullMQ; a driver
 * that cannot be said in ioredis terms (node-redis, valkey-glide) gives no default, and the user names the store. */
import type { StoreConnection } from "@assured-jobs/core";

/** BullMQ's own default. */
const LOCAL = { host: "127.0.0.1", port: 6379 } as const;

/** `given` is the `connection` option of a Queue or Worker. */
export function connectionOf(given: unknown): StoreConnection | undefined {
  if (given === undefined) return { kind: "standalone", options: LOCAL };
  if (typeof given === "string") return { kind: "standalone", url: given, options: {} };
  const connection = given as Record<string, unknown>;
  if (Array.isArray(connection["startupNodes"])) return clusterOf(connection);
  if (connection["commandQueue"] !== undefined)
    return { kind: "standalone", options: connection["options"] as object as Options };
  if (isClient(connection)) return undefined;
  const { url, ...options } = connection;
  return typeof url === "string"
    ? { kind: "standalone", url, options }
    : { kind: "standalone", options: { ...LOCAL, ...options } };
}

type Options = Readonly<Record<string, unknown>>;

function clusterOf(cluster: Record<string, unknown>): StoreConnection {
  return { kind: "cluster", nodes: cluster["startupNodes"] as unknown[], options: cluster["options"] as Options };
}

/* node-redis, valkey-glide and Bun clients, raw or wrapped. */
const isClient = (connection: Record<string, unknown>): boolean =>
  ["sendCommand", "runCommand", "customCommand", "send"].some((method) => typeof connection[method] === "function");
