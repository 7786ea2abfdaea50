/* Waits until a queue has something, and takes nothing: a BLMOVE of the next job onto its own place. A process that is
 * frozen or killed while it waits has nothing on its way. All who wait are woken; who comes too late looks again. */
import type { StoreConnection } from "@assured-jobs/core";
import { Connection } from "../connection.ts";

/** Seconds of one wait. */
const BLOCK = 1;

export class QueueWatch {
  readonly #redis: Connection;
  readonly #waiting: string;
  #blocked: Promise<boolean> | undefined;

  /** `waiting` is the key of the queue. It has a connection of its own, because it blocks it. */
  constructor(target: StoreConnection, waiting: string) {
    this.#redis = new Connection(target, "assured-jobs:watch");
    this.#waiting = waiting;
  }

  /** True when there was something; false after a second without. Rejects when the server does not answer. */
  something(): Promise<boolean> {
    this.#blocked ??= this.#block().finally(() => (this.#blocked = undefined));
    return this.#blocked;
  }

  close(): void {
    this.#redis.close();
  }

  async #block(): Promise<boolean> {
    return (await this.#redis.call("BLMOVE", this.#waiting, this.#waiting, "RIGHT", "RIGHT", BLOCK)) !== null;
  }
}
