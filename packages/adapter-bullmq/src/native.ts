/* The parts of BullMQ's objects that this package touches, public and private, on versions 5.64 to 6.
 *
 * Structural on purpose: the user's copy of BullMQ is not ours, so nothing is imported from it and nothing is
 * compared by class. recognise.ts checks that the parts are there before anything is used.
 */

/** A BullMQ `Worker`, of any supported version. */
export interface BullmqWorker {
  readonly id: string;
  readonly name: string;
  readonly qualifiedName: string;
  readonly opts: object;
  cancelJob(jobId: string, reason?: string): boolean;
  pause(doNotWaitActive?: boolean): Promise<void>;
}

/** A BullMQ `Queue`, of any supported version. */
export interface BullmqQueue {
  readonly name: string;
  readonly qualifiedName: string;
  readonly opts: object;
  getJob(jobId: string): Promise<unknown>;
}

/** What BullMQ moves jobs with: `getBackend()` in version 6, `scripts` in version 5. Same names, arguments and codes. */
export interface Primitives {
  moveJobFromActiveToWait(id: string, token: string): Promise<number>;
  moveToDelayed(
    id: string,
    now: number,
    delay: number,
    token: string,
    options: { skipAttempt: true },
  ): Promise<unknown>;
  promote(id: string): Promise<void>;
  getState(id: string): Promise<string>;
  /** Version 6 only. */
  readonly client?: Promise<ScriptClient>;
}

/** Enough of a Redis client to run a script: BullMQ's own interface, or (5.64) an ioredis instance. */
export interface ScriptClient {
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  runCommand?(name: string, args: readonly unknown[]): Promise<unknown>;
}

export interface NativeJob {
  readonly id?: string | undefined;
  readonly name: string;
  readonly attemptsStarted: number;
  readonly opts: { removeOnFail?: unknown };
  stacktrace: readonly string[] | null;
  moveToCompleted(...args: unknown[]): Promise<unknown>;
  moveToFailed(error: Error, token: string, fetchNext?: boolean): Promise<unknown>;
  retry(state: "failed"): Promise<void>;
  remove(): Promise<void>;
}

/** A worker or a queue: something with a connection to one BullMQ queue. */
export interface NativeMember {
  readonly name: string;
  readonly qualifiedName: string;
  readonly opts: NativeOptions;
  readonly closing?: unknown;
  readonly closed?: boolean;
  readonly Job: { fromId(member: NativeMember, id: string): Promise<NativeJob | undefined> };
  getBackend?(): Primitives;
  readonly scripts?: Primitives;
  readonly client?: Promise<ScriptClient>;
}

interface NativeOptions {
  readonly connection?: unknown;
  readonly lockDuration?: number;
  readonly stalledInterval?: number;
  maxStalledCount?: number;
  readonly useWorkerThreads?: boolean;
  readonly workerForkOptions?: { readonly execArgv?: readonly string[] };
}

export type ProcessJob = (job: NativeJob, token: string, ...rest: unknown[]) => Promise<unknown>;

/** Its arguments are another number in each major version. */
export type MoveToActive = (...args: unknown[]) => Promise<unknown>;

export interface NativeWorker extends NativeMember {
  id: string;
  processJob: ProcessJob;
  moveToActive: MoveToActive;
  readonly childPool?: unknown;
  readonly lockManager: { readonly trackedJobs: ReadonlyMap<string, { readonly token: string; ts?: number }> };
  paused?: boolean | undefined;
  cancelJob(id: string, reason: unknown): boolean;
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): unknown;
  isPaused(): boolean;
  isRunning(): boolean;
  startStalledCheckTimer(): Promise<void>;
  on(event: "lockRenewalFailed", listener: (ids: string[]) => void): unknown;
  on(event: "closed", listener: () => void): unknown;
  off(event: "lockRenewalFailed", listener: (ids: string[]) => void): unknown;
  off(event: "closed", listener: () => void): unknown;
}
