/* What a job is made of, and what a middleware sees of it. Names of fields are Sidekiq's own: they go on the wire as
 * they stand here. */

/** A time for a job: a Date, seconds since 1970, or seconds from now when the number is below 1,000,000,000 (Ruby's rule). */
export type SidekiqTime = number | Date;

/** What every job may have beside its class and arguments. Fields that are not named here are forwarded as they are. */
export interface SidekiqJobFields {
  /** Default `default`. Ruby and Node workers cannot share a queue: each would fetch classes that only the other knows. */
  readonly queue?: string | undefined;
  /** How many times a failed job is tried again: true for 25, false for never (and it never goes to the dead set). Default true. */
  readonly retry?: boolean | number | undefined;
  /** Default: 24 random hexadecimal digits. */
  readonly jid?: string | undefined;
  /** Seconds after the first failure during which it is tried again, at most as often as `retry` says (Sidekiq 7.1.3). At most 1e9. */
  readonly retry_for?: number | undefined;
  /** Queue of the further tries. Default: its own. */
  readonly retry_queue?: string | undefined;
  /** False: do not keep it in the dead set when its tries are used up. */
  readonly dead?: boolean | undefined;
  /** Lines of backtrace to keep with a failure, or true for all. */
  readonly backtrace?: boolean | number | undefined;
  /** Shown in Sidekiq's Web. */
  readonly tags?: readonly string[] | undefined;
  /** Seconds or milliseconds since 1970; written in the client's own unit. Default: now. */
  readonly created_at?: number | undefined;
  readonly [field: string]: unknown;
}

/** One job for `SidekiqClient.push`. */
export interface SidekiqJobInput extends SidekiqJobFields {
  /** Name of the Ruby class, or of the job of a Node worker. */
  readonly class: string;
  /** What its `perform` is called with: values of JSON, bigints and `rubyFloat()`s. */
  readonly args: readonly unknown[];
  /** Not before this time. Past, or left out: at once. */
  readonly at?: SidekiqTime | undefined;
}

/** Many jobs of one class for `SidekiqClient.pushBulk`. */
export interface SidekiqBulkInput extends SidekiqJobFields {
  readonly class: string;
  /** The arguments of each job: `[[1], [2]]` are two jobs. */
  readonly args: readonly (readonly unknown[])[];
  /** One time for all, or one for each. */
  readonly at?: SidekiqTime | readonly SidekiqTime[] | undefined;
}

/** A job on its way to Redis, as a client middleware sees it: it may read and change each field. */
export interface ClientJob {
  readonly class: string;
  readonly args: readonly unknown[];
  readonly queue: string;
  readonly jid: string;
  /** Seconds since 1970; undefined when it goes to its queue at once. */
  readonly at: number | undefined;
  get(field: string): unknown;
  /** Undefined removes the field. What is set is checked like the rest, behind the middleware. `at` takes a SidekiqTime. */
  set(field: string, value: unknown): void;
}

/**
 * Stands around each push, the first one outermost: the place to add fields, to trace, or to take a lock.
 *
 * Not calling `next` stops the push: `push` answers undefined. `next()` resolves once the job is in Redis, and rejects when
 * it is not, so that what was taken for it can be given back. The arguments are checked behind the last middleware.
 *
 * The jobs of a bulk go in one by one, in their order, and are stored together, 1,000 at a time: `next()` waits for the
 * others, so nothing that another job needs may be held across it.
 *
 * A recovered job is put back as it is, without its client's middleware: a lock that it holds is still its own.
 */
export type ClientMiddleware = (job: ClientJob, next: () => Promise<void>) => Promise<void>;
