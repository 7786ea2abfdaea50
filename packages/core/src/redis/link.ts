/* A connection to the store that never lies about the present.
 *
 * ioredis by default keeps commands while it is disconnected and sends those again whose reply was lost. For records
 * that fence this is poison: a claim or a beat could arrive minutes later, from a process that was declared dead
 * meanwhile. So here a command fails at once when the server is not reachable, fails after COMMAND_TIMEOUT when it
 * does not answer, and is never sent twice; whoever asked decides on fresh facts. Reconnects are flat: an instance
 * that comes back late would look like a dead one.
 */
import { Cluster, Redis } from "ioredis";
import type { StoreConnection } from "../adapter.ts";
import { AssuranceError, reasonOf } from "../errors.ts";
import { looksForeign, looksForbidden } from "./replies.ts";

export type RedisClient = Redis | Cluster;

export const RECONNECT_DELAY = 100;
const COMMAND_TIMEOUT = 5_000;
const CONNECT_TIMEOUT = 3_000;
const PARTING = 500;
/** How ioredis says that COMMAND_TIMEOUT is over. */
const TIMED_OUT = "Command timed out";

/** What the connection of the user may not change. */
const strict = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableReadyCheck: false,
  maxRetriesPerRequest: 0, // a connection that closes fails what it has not answered; otherwise nobody would ever hear of it
  commandTimeout: COMMAND_TIMEOUT,
  connectTimeout: CONNECT_TIMEOUT,
  protocol: 2, // the same shape of replies from ioredis 5 and 6
  stringNumbers: false,
  enableAutoPipelining: false,
  readOnly: false,
  role: "master",
  keyPrefix: "",
  retryStrategy: (): number => RECONNECT_DELAY,
  // After a failover the old primary answers READONLY, up to Redis 6.2 within another message: look for the new one.
  reconnectOnError: (error: Error): boolean => /\bREADONLY\b/.test(error.message),
} as const;

export type ClusterConnection = Extract<StoreConnection, { kind: "cluster" }>;

export interface Address {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
}

/** Opens nothing yet: the client is lazy. `name` is what CLIENT LIST shows. */
export function createClient(target: StoreConnection, name: string): RedisClient {
  if (target.kind === "standalone") {
    const options = { ...target.options, ...strict, connectionName: name };
    return target.url === undefined ? new Redis(options) : new Redis(target.url, options);
  }
  return new Cluster(target.nodes as never[], {
    ...target.options,
    lazyConnect: true,
    enableOfflineQueue: true, // what comes while a node is being connected; Link refuses what comes while none is
    enableReadyCheck: false,
    enableAutoPipelining: false,
    keyPrefix: "",
    scaleReads: "master",
    // Nothing is sent again: not what may have been done, and not what nobody can do now.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    maxRedirections: 5, // a slot on its way answers "try again" for as long as that takes
    clusterRetryStrategy: () => null, // the end of a Cluster empties its queue; Link connects it again
    redisOptions: {
      ...(target.options["redisOptions"] as object),
      ...strict,
      lazyConnect: undefined,
      connectionName: name,
    },
  });
}

/** One node of a Cluster, as it is named in the connection or by the Cluster itself. Lazy, and it does not come back. */
export function createNode(target: ClusterConnection, node: unknown, name: string): Redis {
  const given = target.options["redisOptions"] as object | undefined;
  const ours = { ...strict, retryStrategy: () => null, connectionName: name };
  if (typeof node === "string" && node.includes("://")) return new Redis(node, { ...given, ...ours });
  const address = typeof node === "object" ? node : { port: Number(node) };
  return new Redis({ ...given, ...address, ...ours });
}

type Scripted = Record<string, (keys: number, ...args: (string | number)[]) => Promise<unknown>>;

/** One connection, its scripts, and errors that say what to do. */
export class Link {
  readonly client: RedisClient;
  readonly #defined = new Set<string>();
  #reconnect: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(client: RedisClient) {
    this.client = client;
    client.on("error", () => {}); // every command that fails says so by itself
    if (client.isCluster) client.on("end", () => this.#connectAgain());
  }

  /** Connects; rejects with the reason when it cannot within the connect timeout. The client goes on trying. */
  async connect(): Promise<void> {
    if (this.client.status !== "wait") return;
    let lastError: unknown;
    const remember = (error: unknown): void => void (lastError = error);
    this.client.on("error", remember);
    try {
      await Promise.race([this.#ready(), expire(CONNECT_TIMEOUT)]);
    } catch (error) {
      throw explained(lastError ?? error);
    } finally {
      this.client.off("error", remember);
    }
  }

  #ready(): Promise<void> {
    return new Promise((resolve) => {
      this.client.once("ready", resolve);
      this.client.connect().catch(() => {}); // the retry strategy goes on; "ready" or the race decides
    });
  }

  /** Runs a script. ioredis sends EVALSHA, and EVAL again when the server has forgotten it (restart, SCRIPT FLUSH). */
  async run(name: string, lua: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const command = `assured_${name}`;
    if (!this.#defined.has(command)) {
      this.client.defineCommand(command, { lua });
      this.#defined.add(command);
    }
    return this.#checked(() => (this.client as unknown as Scripted)[command]!(keys.length, ...keys, ...args));
  }

  /** Runs a plain command of ioredis. */
  async call<T>(command: (client: Redis) => Promise<T>): Promise<T> {
    return this.#checked(() => command(this.client as Redis));
  }

  /** Ends the connection so that the server knows it too, unless it does not answer. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#reconnect);
    const said = this.client.status === "ready" ? this.client.quit().catch(() => {}) : undefined;
    await Promise.race([said, expire(PARTING).catch(() => {})]);
    this.client.disconnect();
  }

  #connectAgain(): void {
    if (this.#closed) return;
    this.#reconnect = setTimeout(() => void this.client.connect().catch(() => {}), RECONNECT_DELAY).unref();
  }

  async #checked<T>(send: () => Promise<T>): Promise<T> {
    try {
      if (this.client.isCluster && this.client.status !== "ready")
        throw new Error("no node of the Cluster is connected");
      return await send();
    } catch (error) {
      if (reasonOf(error) === TIMED_OUT) this.#startAfresh();
      throw explained(error);
    }
  }

  /* What a gateway on the way has forgotten never answers and never closes, while a new connection would work. */
  #startAfresh(): void {
    if (this.#closed) return;
    if (this.client.isCluster) this.client.disconnect(); // its end connects again
    else this.client.disconnect(true);
  }
}

function expire(ms: number): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no answer for ${ms} ms`)), ms).unref();
  });
}

function unreachable(cause: unknown): AssuranceError {
  const cut = cause instanceof Error && cause.name === "MaxRetriesPerRequestError";
  const reason = cut ? "the connection closed before it answered" : reasonOf(cause);
  return new AssuranceError(
    "ERR_STORE_UNREACHABLE",
    `The store cannot be used now (${reason}). Nothing is lost: jobs stay in their queue, and nobody is declared dead meanwhile. ` +
      "Check that Redis runs, accepts writes and is reachable from here.",
    { cause },
  );
}

function explained(error: unknown): AssuranceError {
  const reason = reasonOf(error);
  if (looksForbidden(reason)) {
    return new AssuranceError(
      "ERR_STORE_FORBIDDEN",
      `The store refuses a command (${reason}). Give the user the permissions listed in docs/operations.md.`,
      { cause: error },
    );
  }
  if (looksForeign(reason)) {
    return new AssuranceError(
      "ERR_STORE_FOREIGN_DATA",
      `A key of the store holds what Assured Jobs did not write (${reason}). Choose another namespace, or remove that key.`,
      { cause: error },
    );
  }
  return unreachable(error);
}
