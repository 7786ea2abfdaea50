/* The worker as a program has it: options in, events out. The work is the engine's. */
import { EventEmitter } from "node:events";
import { AssuranceError } from "@assured-jobs/core";
import { reasonOf } from "@assured-jobs/core/adapter-kit";
import { assertRules } from "../refusal.ts";
import type { Rule } from "../refusal.ts";
import { Engine } from "./engine.ts";
import type { Telling } from "./executor.ts";
import type { SidekiqHandler, SidekiqJobClass } from "./handlers.ts";
import type { SidekiqJob } from "./job.ts";
import { checkOptions, classOfHandler } from "./options.ts";
import type { SidekiqWorkerOptions } from "./options.ts";

const IS_TIMEOUT: Rule = [(value) => typeof value === "number" && value >= 0, "milliseconds, at least 0"];

/** What became of a job that failed: it will be retried, is in the dead set, or nothing is left of it. */
export type FailureOutcome = "retry" | "dead" | "drop";

/** What a worker tells, each once Redis has accepted it. */
export interface SidekiqWorkerEvents {
  completed: [job: SidekiqJob];
  failed: [job: SidekiqJob, error: unknown, outcome: FailureOutcome];
  /** A job went back because it must not run here: its class is unknown, or it belongs to a batch or is encrypted. */
  refused: [job: { readonly jid: string; readonly class: string; readonly reason: string }];
  /** Work in the background failed and goes on. Without a listener it is a process warning. */
  error: [error: unknown];
  /** Something a person should know. Without a listener it is a process warning. */
  warning: [message: string];
}

/**
 * Runs the jobs of Sidekiq's queues in this process, next to Ruby's own workers or without them. A job is in Redis at
 * every moment: taken off its queue it stands in a record until its end is written in the same step. Give the worker to
 * `sidekiqAdapter()`, so that what it holds goes back within about a second when its process dies.
 *
 * Throws an AssuranceError (ERR_OPTION) for wrong options. Needs Redis 6.2 or newer.
 */
export class SidekiqWorker {
  readonly #events = new EventEmitter<SidekiqWorkerEvents>();
  readonly #classes = new Map<string, SidekiqJobClass>();
  readonly #engine: Engine;
  readonly #stopTimeout: number;
  readonly #onSignal: SidekiqWorkerOptions["onSignal"];

  constructor(options: SidekiqWorkerOptions) {
    const checked = checkOptions(options);
    const { handlers = {}, middleware = [], deathHandlers = [], tag = "", labels = [] } = options;
    for (const [name, handler] of Object.entries(handlers)) this.register(name, handler);
    this.#stopTimeout = checked.stopTimeout;
    this.#onSignal = options.onSignal;
    this.#engine = new Engine({
      options: checked,
      classes: this.#classes,
      middleware,
      deathHandlers,
      tag,
      labels: ["assured-jobs", ...labels],
      telling: this.#telling(),
      warn: (message) => this.#warn(message),
      signalled: (signal) => this.#signalled(signal),
    });
    engines.set(this, this.#engine);
  }

  /** Under which Sidekiq lists this process: `host:pid:nonce`. */
  get identity(): string {
    return this.#engine.identity;
  }

  /** How many jobs run now. */
  get busy(): number {
    return this.#engine.live.size;
  }

  /** Registers what does the jobs of a class, for Ruby and TypeScript alike; ActiveJobs under their own name. */
  register(name: string, handler: SidekiqHandler | SidekiqJobClass): this {
    this.#classes.set(name, classOfHandler(name, handler));
    return this;
  }

  /** Begins to fetch; given to an adapter, once its assurance has started. Resolves when the process is in Sidekiq's books. */
  async start(): Promise<void> {
    if (this.#engine.isStopped)
      throw new AssuranceError("ERR_STATE", "start() after stop(): make a new SidekiqWorker.");
    await this.#engine.start();
  }

  /** Fetches nothing more; what runs goes on. Sidekiq's TSTP. */
  quiet(): void {
    this.#engine.quiet();
  }

  /**
   * Waits for running jobs, at most `timeout` ms (`Infinity`: as long as it takes), gives back those that are left, aborts
   * their signals, and closes its connections. Called again it waits for the first call. Rejects with ERR_OPTION.
   */
  async stop({ timeout = this.#stopTimeout }: { readonly timeout?: number } = {}): Promise<void> {
    assertRules({ timeout: IS_TIMEOUT }, () => timeout, "SidekiqWorker.stop: ");
    await this.#engine.stop(timeout);
  }

  on<E extends keyof SidekiqWorkerEvents>(event: E, listener: (...args: SidekiqWorkerEvents[E]) => void): this {
    (this.#events as EventEmitter).on(event, listener);
    return this;
  }

  off<E extends keyof SidekiqWorkerEvents>(event: E, listener: (...args: SidekiqWorkerEvents[E]) => void): this {
    (this.#events as EventEmitter).off(event, listener);
    return this;
  }

  #telling(): Telling {
    return {
      completed: (job) => void this.#tell("completed", job),
      failed: (job, error, outcome) => void this.#tell("failed", job, error, outcome),
      refused: (jid, jobClass, reason) => void this.#tell("refused", { jid, class: jobClass, reason }),
      error: (error) => {
        if (!this.#tell("error", error)) this.#warn(`SidekiqWorker: ${reasonOf(error)}`);
      },
    };
  }

  #warn(message: string): void {
    if (!this.#tell("warning", message)) process.emitWarning(message, "AssuredJobs");
  }

  /* True when somebody listens. What a listener throws must not end a run, nor keep the next step from coming. */
  #tell<E extends keyof SidekiqWorkerEvents>(event: E, ...args: SidekiqWorkerEvents[E]): boolean {
    try {
      return (
        (this.#events as EventEmitter).listenerCount(event) > 0 && (this.#events as EventEmitter).emit(event, ...args)
      );
    } catch (thrown) {
      process.emitWarning(`SidekiqWorker: a listener of "${event}" threw: ${reasonOf(thrown)}`, "AssuredJobs");
      return true;
    }
  }

  #signalled(signal: string): void {
    if (signal === "TSTP") return this.quiet();
    if (signal !== "TERM" && signal !== "TTIN") return;
    if (this.#onSignal) return this.#onSignal(signal);
    if (signal === "TTIN") return this.#warn(`Running: ${this.#running() || "nothing"}`);
    if (process.listenerCount("SIGTERM") > 0) process.kill(process.pid, "SIGTERM");
    else void this.stop();
  }

  #running(): string {
    return [...this.#engine.live.all]
      .map(({ run, since }) => `${run.name} ${run.id} since ${new Date(since).toISOString()}`)
      .join(", ");
  }
}

const engines = new WeakMap<SidekiqWorker, Engine>();

/** For the adapter. Undefined for what is no worker of ours. */
export const engineOf = (worker: object): Engine | undefined => engines.get(worker as SidekiqWorker);
