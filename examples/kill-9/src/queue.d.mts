/* What the demo must know about a queue: a folder of this name with `queue.mjs`, `worker.mjs` (assured) and `bare.mjs`. */

export interface QueueModule {
  /** What the jobs are in, with its version: `BullMQ 6.7.0 queue`. */
  readonly label: string;
  readonly name: string;
  /** What is known of the queue alone: from SIGKILL until the job starts in another worker that runs already. */
  readonly alone: string;
  /** Provides what `bare.mjs` needs; rejects with what is missing. */
  prepare?(): Promise<void>;
  /** `completed` is called each time that the queue says that the end of a job was accepted; where it does not, workers do. */
  open(where: { readonly url: string; readonly prefix: string }, completed: (id: string) => void): Producer;
}

export interface Producer {
  /** Resolves when no completion can be missed any more. */
  ready(): Promise<void>;
  /** Adds a job that takes so many ms; resolves to its id. */
  add(takes: number): Promise<string>;
  close(): Promise<void>;
}
