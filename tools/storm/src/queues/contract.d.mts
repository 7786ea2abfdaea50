/* What the storm must know about a queue. One module per queue in this folder exports both functions; nothing else in
 * the storm knows any queue. `npm run storm -- --queue NAME` takes it by its file name, `--queue ./path.mjs` from anywhere. */
import type { QueueAdapter } from "@assured-jobs/core";
import type { Fact, Leftovers, Plan, RunName, Task } from "../history.mjs";

export interface Place {
  /** Of the private Redis. */
  readonly url: string;
  readonly queue: string;
  /** True: the queue as its makers ship it, with its own default times. */
  readonly bare: boolean;
}

/** The conductor's side. */
export interface StormQueue {
  /** For an observer that reads the ledger and audits. */
  readonly adapter: QueueAdapter;
  /** Resolves once the queue has acknowledged all of them, under the ids of their plans. May be called side by side. */
  add(plans: readonly Plan[]): Promise<void>;
  /**
   * What the queue itself recorded since the last call: complete, and for each job in the order in which it happened.
   * It must come from the queue's store, never from a worker, so that the end that is reported is the one accepted.
   */
  facts(): Promise<readonly Fact[]>;
  leftovers(): Promise<Pick<Leftovers, "unfinished" | "kept" | "forgetsCompleted" | "locks">>;
  close(): Promise<void>;
}

/** One run, as a handler gets it. `run` is the queue's own number of it; `attempt` counts the failures before. */
export interface StormRun {
  readonly job: string;
  readonly run: number;
  readonly attempt: number;
  readonly task: Task;
}

export interface StormWorkerOptions extends Place {
  /** The storm's name of this process, for a queue that records by which process an end was. */
  readonly process: string;
  readonly concurrency: number;
  /**
   * The queue must record what it resolves to, or the message of what it rejects with, as the end of the job, or else
   * whose run it was, so that `facts()` can say by whom the accepted end was.
   */
  readonly handle: (run: StormRun) => Promise<RunName>;
  /** The worker believes that the queue accepted the run's end, or its retry. */
  readonly accepted: (job: string, run: number) => void;
  readonly trouble: (text: string) => void;
}

/** A worker process's side: a plain worker of the queue, as a user writes it. */
export interface StormWorker {
  readonly adapter: QueueAdapter;
  /** Begins to fetch. */
  start(): Promise<void>;
  /** The queue's own way to leave: no new jobs, wait for the running ones. */
  close(): Promise<void>;
}

export interface QueueModule {
  readonly openQueue: (place: Place) => Promise<StormQueue>;
  readonly openWorker: (options: StormWorkerOptions) => StormWorker;
}
