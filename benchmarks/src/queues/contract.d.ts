/* What a benchmark must know about a queue; one module per queue in this folder, named like the option --queue.
 *
 * The benchmarks measure the program of a user, so a module makes the queue's own objects with the queue's own defaults
 * and adds nothing that a user would not write. Whoever adds a queue adds a module here and a line to index.mjs; nothing
 * else knows which queue is measured.
 */
import type { QueueAdapter } from "@assured-jobs/core";

export interface QueueModule {
  /** A producer, which fetches no job. */
  readonly openQueue: (where: Where) => Producer;
  /** A worker that fetches nothing before start(). */
  readonly openWorker: (where: Where, program: Program) => Consumer;
}

/** Where the jobs are. The server is private, and may be flushed between two measurements. */
export interface Where {
  readonly url: string;
  readonly name: string;
}

export interface Program {
  readonly concurrency: number;
  readonly handle: (id: string) => Promise<void>;
  /** The queue has accepted the end of a job. */
  readonly completed?: ((id: string) => void) | undefined;
}

export interface Producer {
  /** Adds jobs in bulk, oldest first. Resolves with their ids. */
  add(count: number): Promise<readonly string[]>;
  /** How many jobs wait to be fetched. */
  waiting(): Promise<number>;
  /** An adapter that knows the queue and holds no job of it. */
  adapter(): QueueAdapter;
  close(): Promise<void>;
}

export interface Consumer {
  /** An adapter for this worker. Assured before start(), each of its runs is tracked. */
  adapter(): QueueAdapter;
  start(): void;
}
