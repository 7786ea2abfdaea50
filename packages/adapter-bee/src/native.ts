/* The parts of a Bee `Queue` that this package touches, public and private; test/touches.test.ts holds each against
 * bee-queue itself. Structural, because Bee's own types need those of a redis client that is no dependency of it. */

/** A Bee-Queue `Queue`, 2.x. */
export interface BeeQueue {
  readonly name: string;
  close(): Promise<void>;
}

/** A job as Bee hands it to a handler. */
export interface NativeJob {
  readonly id: string;
  data: unknown;
  options: { stacktraces: unknown[]; retries?: number; timestamp?: number };
  status: string;
  computeDelay(): number;
  toData(): string;
}

type Reply = (error: Error | null, value: unknown) => void;

type ClientEvent = "reconnecting" | "error";
type ClientListener = (this: NativeClient, told: Error) => void;

/** A client of redis 3.x, which calls back. */
export interface NativeClient {
  readonly server_info?: { readonly redis_version?: string };
  send_command(name: string, args: readonly (string | number)[], done: Reply): unknown;
  end(flush: boolean): void;
  on(event: ClientEvent, listener: ClientListener): unknown;
  removeListener(event: ClientEvent, listener: ClientListener): unknown;
  /** The server takes the connection, and then commands. */
  readonly connected: boolean;
  readonly ready: boolean;
  readonly stream: { destroy(): unknown };
  readonly options: { readonly retry_strategy?: unknown; readonly connect_timeout?: unknown };
  /** Wait before the next attempt to connect, ms; it grows by this factor, until all of it is longer than an hour. */
  readonly retry_delay: number;
  retry_backoff: number;
  retry_totaltime: number;
}

interface NativeSettings {
  readonly keyPrefix: string;
  readonly isWorker: boolean;
  readonly sendEvents: boolean;
  readonly removeOnSuccess: boolean;
  readonly removeOnFailure: boolean;
  readonly stallInterval: number;
  /** ms; each slot that fails after another waits twice as long as that. */
  initialRedisFailureRetryDelay: number;
  readonly redis: unknown;
}

/** What Bee makes of an end: the status and what its event carries. Undefined: no event, the slot is free. */
export type Outcome = readonly [status: string, result: unknown] | undefined;

export interface NativeQueue {
  readonly name: string;
  readonly settings: NativeSettings;
  /** Closing or closed; Bee has no other pause. */
  readonly paused: boolean;
  client: NativeClient | null;
  bclient: NativeClient | null;
  eclient: NativeClient | null;
  readonly _isClosed: boolean;
  readonly _isReady: boolean;
  _ready: Promise<unknown> | false;
  /** close() waits for what is in here. */
  readonly activeJobs: Set<Promise<unknown>>;
  handler?: ((job: NativeJob) => Promise<unknown>) | undefined;
  readonly concurrency: number;
  connect(): Promise<unknown>;
  process(concurrency: number, handler: (job: NativeJob) => Promise<unknown>): unknown;
  close(...args: unknown[]): Promise<void>;
  createJob(data: unknown): NativeJob;
  emit(event: string, ...args: unknown[]): boolean;
  on(event: "ready", listener: () => void): unknown;
  removeListener(event: "ready", listener: () => void): unknown;
  listenerCount(event: string): number;
  toKey(part: string): string;
  _waitForJob(): Promise<NativeJob | null>;
  _runJob(job: NativeJob): Promise<Outcome>;
  _preventStall(id: string): Promise<unknown>;
  _finishJob(error: unknown, data: unknown, job: NativeJob): Promise<Outcome>;
  _checkStalledJobs(interval: unknown, callback: unknown): Promise<unknown>;
  _evalScriptOn(commandable: unknown, args: unknown[]): Promise<unknown>;
}

interface JobClass {
  fromData(queue: NativeQueue, id: string, json: string): NativeJob;
}

/** Bee's own class of jobs, which it exports to nobody. */
export const jobClassOf = (queue: NativeQueue): JobClass => queue.createJob({}).constructor as unknown as JobClass;

/** Bee's own event for what went wrong. With nobody who listens it would end the process; then what is done about it must do. */
export function tellError(queue: NativeQueue, error: unknown): void {
  if (queue.listenerCount("error") > 0) queue.emit("error", error);
}
