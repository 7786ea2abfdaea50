/* A Store in memory, for tests and examples: the semantics of the contract without a server.
 *
 * It keeps every promise of the contract but one: it does not survive its process.
 */
import type { Registration } from "../instance.ts";
import type { PulseListener, Store, StoreReport } from "../store.ts";
import { MemoryCasebook } from "./casebook.ts";
import { MemoryLedger } from "./ledger.ts";
import { Link } from "./link.ts";
import { startPulse } from "./pulse.ts";
import type { MemoryPulse } from "./pulse.ts";
import { MemoryRoster } from "./roster.ts";
import { MemoryServer } from "./server.ts";
import type { MemoryServerOptions } from "./server.ts";

export type { MemoryPulse } from "./pulse.ts";
export type { MemoryServer, MemoryServerOptions, Notice, Subscriber, Subscription } from "./server.ts";

/** Options of memoryStore(). */
export interface MemoryStoreOptions {
  /** `assured_jobs` by default. */
  readonly namespace?: string;
  /** Handles that are to see the same records share one; a server of its own by default. */
  readonly server?: MemoryServer;
}

/** A Store in memory; its pulses can be crashed and frozen. */
export interface MemoryStore extends Store {
  pulse(registration: Registration, listener: PulseListener): Promise<MemoryPulse>;
}

/** A server for several handles, whose clock and failures belong to the test. */
export function memoryServer(options: MemoryServerOptions = {}): MemoryServer {
  return new MemoryServer(options);
}

/** One handle, as one process would have it. Every method rejects with ERR_STORE_UNREACHABLE while its server is down. */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  return new StoreInMemory(options);
}

class StoreInMemory implements MemoryStore {
  readonly namespace: string;
  readonly roster: MemoryRoster;
  readonly casebook: MemoryCasebook;
  readonly ledger: MemoryLedger;
  readonly #link: Link;
  readonly #pulses = new Set<MemoryPulse>();

  constructor({ namespace = "assured_jobs", server = memoryServer() }: MemoryStoreOptions) {
    this.namespace = namespace;
    this.#link = new Link(server, namespace);
    this.roster = new MemoryRoster(this.#link);
    this.casebook = new MemoryCasebook(this.#link);
    this.ledger = new MemoryLedger(this.#link);
  }

  open(): Promise<StoreReport> {
    return this.#link.call(() => ({ server: "memory", warnings: [] }));
  }

  async close(): Promise<void> {
    this.#link.close();
    await Promise.all([...this.#pulses].map((pulse) => pulse.stop()));
  }

  async pulse(registration: Registration, listener: PulseListener): Promise<MemoryPulse> {
    const pulse = await startPulse(this.#link, this.roster, registration, listener);
    this.#pulses.add(pulse);
    return pulse;
  }
}
