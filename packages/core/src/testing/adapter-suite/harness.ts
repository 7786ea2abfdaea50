import type { JobState, QueueAdapter } from "../../adapter.ts";
import type { RecordingHost } from "../recording-host.ts";

/** How the queue took the end of a run. `refused`: the run was given away, and nothing happened. */
export type Verdict = "accepted" | "refused";

/** What an adapter's author gives to describeAdapter(): one empty queue, and processes that work on it. */
export interface AdapterHarness {
  /** Key of the queue. */
  readonly queue: string;
  /** The adapter of a process that only recovers: attached to nothing, or to an idle process. */
  readonly adapter: QueueAdapter;
  /** Set for a queue that keeps nothing of a job that finished: its state is "missing" then. */
  readonly forgetsFinished?: boolean;
  /** Adds a job, which the queue keeps when it failed, and when it finished if it ever does. Returns its id. */
  add(job?: NewJob): Promise<string>;
  /**
   * Makes a process of its own fetch the next job (which is `id`, if it is given), run it and hold it. Waits for a job
   * to be due.
   */
  start(id?: string): Promise<HeldRun>;
  /** Makes one process of its own fetch and hold so many jobs. */
  startMany(count: number): Promise<HeldMany>;
  /** How often the job was started. */
  runs(id: string): Promise<number>;
  state(id: string): Promise<JobState>;
  /** What the job carries, as it was given to add(). */
  payload(id: string): Promise<unknown>;
  /** A process of its own with the adapter attached, whose handlers end at once. It works until the test is over. */
  open?(): Promise<OpenProcess>;
  /** Makes a process fetch a job and die before its handler has begun. */
  fetchAndDie?(): Promise<{ readonly id: string; readonly holderIds: readonly string[] }>;
  /** Removes the job's record from under whoever holds it. */
  remove?(id: string): Promise<void>;
  /** Makes the record of a waiting job unreadable. */
  breakRecord?(id: string): Promise<void>;
  close(): Promise<void>;
}

/** A process that works. */
export interface OpenProcess {
  readonly adapter: QueueAdapter;
  /** What was reported to. */
  readonly host: RecordingHost;
  /** How many handlers began without a run that was reported before. */
  unreported(): number;
}

/** A job to add. Delay in ms; `priority` as the queue understands it, ignored by a queue that has none. */
export interface NewJob {
  readonly id?: string;
  readonly name?: string;
  readonly data?: unknown;
  readonly delay?: number;
  readonly priority?: number;
}

/** A run in a process that waits to be told how it ends. */
export interface HeldRun {
  readonly id: string;
  readonly run: number;
  /** The ids of its process in the queue's own record. */
  readonly holderIds: readonly string[];
  readonly proof: string;
  /** Ends the run, whatever became of its job meanwhile; says how the queue took it. */
  finish(): Promise<Verdict>;
  fail(error: Error): Promise<Verdict>;
  /** The process stops without a word: its job stays held in the queue's record. */
  crash(): Promise<void>;
}

/** Runs of one process. */
export interface HeldMany {
  readonly ids: readonly string[];
  readonly holderIds: readonly string[];
  crash(): Promise<void>;
}
