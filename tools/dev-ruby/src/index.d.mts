/** Sidekiq 6.4, 7.3 or 8.0, with what belongs to it; README.md lists the versions. */
export type SetName = "sidekiq6" | "sidekiq7" | "sidekiq8";

export interface RubySet {
  readonly name: SetName;
  /** Where its gems are. */
  readonly dir: string;
  /** Version by name. */
  readonly gems: Readonly<Record<string, string>>;
}

/** Installs the gems of a set if they are not there yet; throws what is missing and how to get it. */
export function ensureRuby(set: SetName): Promise<RubySet>;

/** Like ensureRuby, but resolves to the reason instead of throwing it: `test.skipIf(reason)`. */
export function rubyAvailable(set: SetName): Promise<string | undefined>;

/** `assured-jobs` is not for sidekiq8. Middlewares are added in the order given: the last one is next to the job. */
export type Requirement = "assured-jobs" | "unique-jobs" | "active-job";

export interface ApplicationOptions {
  readonly redisUrl: string;
  /** Prefix of all keys, by redis-namespace: sidekiq6 only. */
  readonly namespace?: string;
  /** Also defines the job classes that need it. */
  readonly requires?: readonly Requirement[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface SidekiqOptions extends ApplicationOptions {
  /** As on the command line: `name` or `name,weight`. Default: `["default"]`. */
  readonly queues?: readonly string[];
  /** Threads. Default 2. */
  readonly concurrency?: number;
  /** Seconds that running jobs get at shutdown. Default 5. */
  readonly timeout?: number;
  /** Seconds between heartbeats. Default: Sidekiq's own, 5 or 10. */
  readonly beat?: number;
  /** Average seconds between two looks for jobs that are due, and before the first. Default: Sidekiq's own. */
  readonly poll?: number;
}

interface RubyChild {
  readonly pid: number;
  /** The end of what it has printed so far. */
  log(): string;
}

/** One long-lived Ruby process. Calls are answered one after the other; what Ruby raises is a RubyError. */
export interface RubyConsole extends RubyChild {
  call<M extends keyof ConsoleMethods>(
    method: M,
    ...args: Parameters<ConsoleMethods[M]>
  ): Promise<ReturnType<ConsoleMethods[M]>>;
  close(): Promise<void>;
}

export interface RubyError extends Error {
  readonly name: "RubyError";
  /** Class of the exception. */
  readonly type: string;
  readonly backtrace: readonly string[];
}

export function startRuby(set: SetName, options: ApplicationOptions): Promise<RubyConsole>;

export interface RubyExit {
  readonly code: number | null;
  /** Name of the signal that ended it. */
  readonly signal: string | null;
}

/** A real Sidekiq server. It does not outlive the process that started it. */
export interface RubyWorker extends RubyChild {
  /** host:pid:nonce, as in the set `processes`. */
  readonly identity: string;
  readonly exited: Promise<RubyExit>;
  /** Default SIGKILL. Resolves once the process is gone, for signals that end it. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGTERM, and SIGKILL when `timeout` and some seconds are over. Idempotent. */
  stop(): Promise<RubyExit>;
}

/** Resolves once the process is registered in Redis. */
export function startSidekiq(set: SetName, options: SidekiqOptions): Promise<RubyWorker>;

/** Seconds or, in Sidekiq 8, milliseconds; Sidekiq's API makes seconds of both. */
export interface RubyJob {
  readonly jid: string | null;
  readonly queue: string | null;
  readonly class: string | null;
  readonly display_class: string | null;
  readonly args: readonly unknown[] | null;
  readonly created_at: number | null;
  readonly enqueued_at: number | null;
  /** Inflated. */
  readonly error_backtrace: readonly string[] | null;
  readonly item: Readonly<Record<string, unknown>>;
  /** The text in Redis. */
  readonly value: string;
}

export interface RubyEntry extends RubyJob {
  readonly score: number;
  /** Seconds. */
  readonly at: number;
}

export interface RubyProcess {
  readonly identity: string;
  readonly hostname: string;
  readonly pid: number;
  readonly tag: string;
  readonly concurrency: number;
  readonly queues: readonly string[];
  readonly labels: readonly string[];
  readonly started_at: number;
  readonly beat: number;
  readonly busy: number;
  readonly quiet: string;
  readonly stopping: boolean;
  readonly rss: number;
  readonly rtt_us: number;
  readonly [more: string]: unknown;
}

export interface RubyWork {
  readonly process: string;
  readonly tid: string;
  readonly queue: string;
  readonly run_at: number;
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface RubyStats {
  readonly processed: number;
  readonly failed: number;
  readonly enqueued: number;
  readonly scheduled_size: number;
  readonly retry_size: number;
  readonly dead_size: number;
  readonly processes_size: number;
  readonly workers_size: number;
  readonly queues: Readonly<Record<string, number>>;
}

type Item = Readonly<Record<string, unknown>>;
type EntrySet = "retry" | "dead" | "schedule";

/** What RubyConsole.call knows. A job that is not there makes those that act on one answer false. */
export interface ConsoleMethods {
  /** The value of a Ruby expression, for whatever has no method here. */
  evaluate(source: string): unknown;
  versions(): Readonly<Record<string, string>>;
  /** What the jobs of jobs.rb have told in a list. */
  told(list: string): readonly Readonly<Record<string, unknown>>[];

  /** Sidekiq::Client.push; the jid, or null when a middleware stopped it. */
  push(item: Item): string | null;
  /** The same from the text of a JSON object, for numbers that JavaScript has not. */
  push_text(text: string): string | null;
  push_bulk(item: Item): readonly (string | null)[];
  /** With the options of the class, unlike push. */
  perform_async(name: string, ...args: unknown[]): string | null;
  perform_in(name: string, seconds: number, ...args: unknown[]): string | null;
  active_job_push(name: string, ...args: unknown[]): { readonly job_id: string; readonly jid: string };
  /** Enqueues what is due in `schedule` and `retry`. */
  poll_once(): null;

  retry_set(): readonly RubyEntry[];
  dead_set(): readonly RubyEntry[];
  schedule_set(): readonly RubyEntry[];
  retry_entry(jid: string, set?: EntrySet): boolean;
  kill_entry(jid: string, set?: EntrySet): boolean;
  delete_entry(jid: string, set?: EntrySet): boolean;
  enqueue_entry(jid: string, set?: EntrySet): boolean;
  queues(): readonly { readonly name: string; readonly size: number; readonly latency: number }[];
  queue_jobs(name: string): readonly RubyJob[];
  stats(): RubyStats;

  process_set(): readonly RubyProcess[];
  work_set(): readonly RubyWork[];
  /** TSTP or TERM by way of Redis, as the buttons of the web page do. */
  quiet(identity: string): boolean;
  stop(identity: string): boolean;
  /** Sidekiq::Web, with a session that lasts. */
  web(
    path: string,
    method?: "GET" | "POST",
    params?: Item,
  ): { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string };

  /** One pass of the reaper of sidekiq-unique-jobs. */
  reap(): null;
  digests(): Readonly<Record<string, unknown>>;
  locks(digest: string): {
    readonly locked: Readonly<Record<string, unknown>>;
    readonly queued: readonly string[];
    readonly primed: readonly string[];
    readonly info: unknown;
  };
  /** lock_digest of each job, given as the text of a JSON object. */
  lock_digests(texts: readonly string[]): readonly string[];
  /** One pass of the recovery of sidekiq-assured-jobs. */
  assured_jobs_pass(): null;

  json_generate(value: unknown): string;
  /** Each text as Ruby writes what it has read from it. */
  json_roundtrip(texts: readonly string[]): readonly string[];
  inflate_backtrace(text: string): readonly string[];
}
