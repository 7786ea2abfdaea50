import type { Incarnation } from "../../instance.ts";
import type { Store } from "../../store.ts";

/** What a store's author gives to describeStore(): one set of records, and ways to disturb it. */
export interface StoreHarness {
  /** A new handle on the same records, as another process would have it. The suite opens and closes it. */
  store(): Promise<Store>;
  /** Lets this much of the store's clock pass: moves an injected clock, or really waits. */
  advance(ms: number): Promise<void>;
  /** Opens the subscription of an incarnation that beats by the suite's own calls. */
  presence(store: Store, incarnation: Incarnation): Promise<Presence>;
  /** Restarts the server, with or without its records. */
  restart?(options: { readonly wipe: boolean }): Promise<void>;
  /** Makes the server unreachable for all handles until end(). */
  outage?(): Promise<{ end(): Promise<void> }>;
  close(): Promise<void>;
}

/** A subscription that is open until close(), or until the server goes away. */
export interface Presence {
  /** Resolves when the server knows that it is closed. */
  close(): Promise<void>;
}
