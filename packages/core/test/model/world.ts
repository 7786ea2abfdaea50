/* The world under test: a real store behind two handles, its clock, its failures, and a queue.
 *
 * Each call is made on the next handle, as if by another process. While the store is down every call must say so.
 */
import assert from "node:assert/strict";
import { AssuranceError } from "@assured-jobs/core";
import type { Incarnation, Store } from "@assured-jobs/core";
import type { MemoryAdapter, MemoryQueue } from "@assured-jobs/core/testing";
import type { Model } from "./model.ts";

export interface Server {
  readonly stores: readonly [Store, Store];
  /** Whether its clock also runs by itself. */
  readonly runs: boolean;
  /** So much time passes by the store's clock, up or down; less than nothing is a step back. */
  advance(ms: number): Promise<void>;
  subscribe(incarnation: Incarnation): Promise<void>;
  unsubscribe(incarnation: Incarnation): Promise<void>;
  stop(): Promise<void>;
  /** Comes back as another run of the server, with or without its records. */
  start(options: { readonly wipe: boolean }): Promise<void>;
  /** Loses its records while it runs. */
  wipe(): Promise<void>;
}

export interface World {
  readonly server: Server;
  readonly queue: MemoryQueue;
  /** Reads and moves the queue for those who recover. */
  readonly adapter: MemoryAdapter;
}

/** What `ask` answers when the store was down, and was so by all rights. */
export const DOWN: unique symbol = Symbol("down");

/** One call to the store, as the model says it must go when the store is down. */
export async function ask<T>(model: Model, world: World, call: (store: Store) => Promise<T>): Promise<T | typeof DOWN> {
  const store = world.server.stores[model.calls++ % 2]!;
  if (model.up) return call(store);
  await assert.rejects(call(store), (error: unknown) => {
    assert.ok(error instanceof AssuranceError);
    assert.equal(error.code, "ERR_STORE_UNREACHABLE");
    return true;
  });
  return DOWN;
}

/** The same call on both handles at once. */
export async function askBoth<T>(model: Model, world: World, call: (store: Store) => Promise<T>): Promise<T[]> {
  const replies = await Promise.all([ask(model, world, call), ask(model, world, call)]);
  return replies.flatMap((reply) => (reply === DOWN ? [] : [reply as T]));
}
