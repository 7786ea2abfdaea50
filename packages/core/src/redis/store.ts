import type { StoreConnection } from "../adapter.ts";
import { AssuranceError } from "../errors.ts";
import type { Registration } from "../instance.ts";
import type { Casebook, Ledger, Pulse, PulseListener, Roster, Store, StoreReport } from "../store.ts";
import { RedisCasebook } from "./casebook.ts";
import { checkServer } from "./checks.ts";
import { connectionOf } from "./connection.ts";
import type { RedisStoreOptions } from "./connection.ts";
import { keysOf } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { RedisLedger } from "./ledger.ts";
import { createClient, Link } from "./link.ts";
import { openPulse } from "./pulse.ts";
import { RedisRoster } from "./roster.ts";
import type { Presence } from "./roster.ts";

/**
 * A store on Redis 6.2 or newer, or Valkey: one server, Sentinel or Cluster. It opens its own connections (one here,
 * two in the pulse) with the settings that fencing needs; a client of yours is only asked for its options.
 * @throws AssuranceError ERR_OPTION for nonsense, ERR_STORE_MISSING when nothing says where the server is.
 */
export function redisStore(options: RedisStoreOptions = {}): Store {
  if (typeof options !== "object" || options === null)
    throw new AssuranceError("ERR_OPTION", "redisStore: expected { url }, { connection } or { client }");
  const named = options.url !== undefined || options.client !== undefined || options.connection !== undefined;
  const connection = connectionOf(
    named ? options : { ...options, url: process.env["ASSURED_JOBS_REDIS_URL"] || undefined },
  );
  if (!connection) {
    throw new AssuranceError(
      "ERR_STORE_MISSING",
      "redisStore: expected url, connection or client (or ASSURED_JOBS_REDIS_URL), got none. A silent localhost would be the wrong server sooner or later.",
    );
  }
  return storeOn(connection, options);
}

/** The store that an adapter's own connection leads to. */
export function storeOn(
  connection: StoreConnection,
  options: Pick<RedisStoreOptions, "namespace" | "presence"> = {},
): Store {
  const namespace = options.namespace ?? process.env["ASSURED_JOBS_NS"] ?? "assured_jobs";
  return new RedisStore(connection, namespace, options.presence ?? true);
}

class RedisStore implements Store {
  readonly namespace: string;
  readonly roster: Roster;
  readonly casebook: Casebook;
  readonly ledger: Ledger;
  readonly #connection: StoreConnection;
  readonly #keys: Keys;
  readonly #link: Link;
  readonly #presence: Presence;

  constructor(connection: StoreConnection, namespace: string, presence: boolean) {
    this.namespace = namespace;
    this.#connection = connection;
    this.#keys = keysOf(namespace);
    this.#link = new Link(createClient(connection, "assured-jobs:store"));
    this.#presence = presenceOf(connection, presence);
    this.roster = new RedisRoster(this.#link, this.#keys, this.#presence);
    this.casebook = new RedisCasebook(this.#link, this.#keys);
    this.ledger = new RedisLedger(this.#link, this.#keys);
  }

  async open(): Promise<StoreReport> {
    await this.#link.connect();
    const report = await checkServer(this.#link, this.#keys, this.#presence);
    await this.#readEverything();
    return report;
  }

  /* A permission that is missing shall be missed now, and not by the first recovery. */
  async #readEverything(): Promise<void> {
    const { roster, casebook, ledger } = this;
    const page = { limit: 1 };
    await Promise.all([
      roster.look({ by: "nobody", duties: [], dutyTtl: 1, interval: 1 }),
      roster.instances(page),
      roster.dead(),
      casebook.pending("none"),
      casebook.suspects("none"),
      casebook.deaths("none", "none", 1),
      ledger.claims(page),
      ledger.history("deaths", page),
      ledger.quarantined(page),
      ledger.counts(),
    ]);
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  async pulse(registration: Registration, listener: PulseListener): Promise<Pulse> {
    const { namespace } = this;
    return openPulse({ connection: this.#connection, namespace, presence: this.#presence, registration }, listener);
  }
}

function presenceOf({ kind }: StoreConnection, wanted: boolean): Presence {
  if (!wanted) return "";
  return kind === "cluster" ? "SHARDNUMSUB" : "NUMSUB";
}
