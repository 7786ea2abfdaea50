/* The working parts of a worker, and what the adapter does with them.
 *
 * A worker that was given to an adapter fetches nothing before its assurance has started, so that no job is ever held by
 * somebody the fleet does not know. One that was given to none works by itself: its jobs survive it in the record, and
 * any assured process gives them back once Sidekiq's own books have lost the worker.
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { AdapterHost } from "@assured-jobs/core";
import { Connection } from "../connection.ts";
import { keysWith } from "../keys.ts";
import type { Keys } from "../keys.ts";
import { giveBack, refreshed } from "../requeue.ts";
import { versionsBeside } from "../sidekiq-version.ts";
import { readText } from "../wire/payload.ts";
import { AloneHost } from "./alone.ts";
import type { Host } from "./alone.ts";
import { Ends } from "./ends.ts";
import { Executor } from "./executor.ts";
import type { Telling } from "./executor.ts";
import type { Fetched } from "./fetch-calls.ts";
import { Fetcher } from "./fetcher.ts";
import type { Call } from "./finish-calls.ts";
import type { DeathHandler, ServerMiddleware, SidekiqJobClass } from "./handlers.ts";
import { HolderBook } from "./holder.ts";
import { startKeeper } from "./keeper.ts";
import { LiveRuns } from "./live-runs.ts";
import type { CheckedOptions } from "./options.ts";
import { Poller } from "./poller.ts";
import { ProcessRecord } from "./process-record.ts";
import { QueueWatch } from "./watch.ts";

export interface EngineParts {
  readonly options: CheckedOptions;
  readonly classes: ReadonlyMap<string, SidekiqJobClass>;
  readonly middleware: readonly ServerMiddleware[];
  readonly deathHandlers: readonly DeathHandler[];
  readonly tag: string;
  readonly labels: readonly string[];
  readonly telling: Telling;
  readonly warn: (message: string) => void;
  readonly signalled: (signal: string) => void;
}

type Phase = "new" | "started" | "stopped";

export class Engine {
  readonly identity: string = `${hostname()}:${process.pid}:${randomBytes(6).toString("hex")}`;
  readonly keys: Keys;
  readonly redis: Connection;
  readonly queues: readonly string[];
  readonly live: LiveRuns = new LiveRuns();
  readonly #parts: EngineParts;
  readonly #holders: HolderBook;
  readonly #fetchers: readonly Fetcher[];
  readonly #watches: ReadonlyMap<string, QueueWatch>;
  readonly #poller: Poller;
  readonly #record: ProcessRecord;
  readonly #alone: Host;
  #host: Host | undefined;
  #stopKeeper: () => void = () => {};
  #phase: Phase = "new";
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  /** Belongs to an adapter, which says when to begin. */
  #isOwned = false;
  #isPaused = false;
  #isQuiet = false;
  #hasLeft = false;
  #versions: readonly number[] = [];

  constructor(parts: EngineParts) {
    const { options, telling } = parts;
    this.#parts = parts;
    this.keys = keysWith(options.prefix);
    this.redis = new Connection(options.target, "assured-jobs:worker");
    this.queues = [...new Set(options.sets.flatMap(({ ordering }) => ordering.names))];
    this.#alone = new AloneHost(parts.warn);
    this.#watches = new Map(
      this.queues.map((name) => [name, new QueueWatch(options.target, this.keys.queue(name).waiting)]),
    );
    const { redis, keys, identity, live, queues } = this;
    const known = (): ReadonlySet<string> => live.proofs;
    this.#holders = new HolderBook({ redis, keys, identity, queues, known, changed: () => this.#hosted.changed() });
    const tell = (error: unknown): void => telling.error(error);
    const writeWorkers = (): boolean => this.#writesWorkers;
    const ends = new Ends({ redis, keys, identity, deadSet: options.deadSet, tell });
    this.#fetchers = this.#fetchersFor(ends, this.#executor(ends));
    const { tag, labels, signalled, warn } = parts;
    const { pollInterval: interval, unit, sets } = options;
    this.#poller = new Poller({ redis, keys, tell, warn, interval, unit });
    const isQuiet = (): boolean => this.#isQuiet || this.#isPaused;
    const said = { sets, tag, labels, writeWorkers, isQuiet };
    this.#record = new ProcessRecord({ redis, keys, identity, live, signalled, tell, ...said });
  }

  /** Ids under which it holds jobs. When it has left, what it could not give back is nobody's. */
  get holders(): readonly string[] {
    return this.#hasLeft ? [] : this.#holders.all;
  }

  get isStopped(): boolean {
    return this.#phase === "stopped";
  }

  async start(): Promise<void> {
    if (this.#phase === "new") this.#starting = this.#start();
    await this.#starting;
  }

  async #start(): Promise<void> {
    this.#phase = "started";
    const { redis, keys, identity } = this;
    this.#versions = await versionsBeside(redis, keys).catch(() => []);
    await this.#record.start();
    const lists = [keys.work(identity), keys.workers(identity)];
    const record = { identity, processes: keys.processes, process: keys.process(identity), lists };
    this.#stopKeeper = startKeeper({ ...record, target: this.#parts.options.target }, (message) =>
      this.#hosted.warn(message),
    );
    if (this.#parts.options.poll) this.#poller.start();
    this.#open();
  }

  quiet(): void {
    this.#isQuiet = true;
    for (const fetcher of this.#fetchers) void fetcher.quiet();
    this.#record.wake();
  }

  /** Waits for the runs, gives back what is left of them, and leaves Sidekiq's books. Idempotent. */
  stop(timeout: number): Promise<void> {
    this.#phase = "stopped";
    this.#stopping ??= this.#stop(timeout);
    return this.#stopping;
  }

  async #stop(timeout: number): Promise<void> {
    await this.#starting?.catch(() => {}); // what it still begins would go on for ever
    await this.pause().catch((error: unknown) => this.#parts.telling.error(error)); // the others will find what it left
    await this.#poller.stop();
    if (!(await this.live.idle(timeout))) await this.#giveBackLive();
    this.#stopKeeper();
    await this.#record.stop().catch((error: unknown) => this.#parts.telling.error(error));
    this.redis.close();
    for (const watch of this.#watches.values()) watch.close();
    this.#hasLeft = true;
    void this.#hosted.changed();
  }

  // --- for the adapter ---

  own(): void {
    this.#isOwned = true;
  }

  /** From now on runs are reported, those already going on as well. */
  async attach(host: AdapterHost): Promise<void> {
    this.own();
    this.#host = host;
    for (const { run, work } of this.live.all) void host.run(run, async () => void (await work.catch(() => {})));
  }

  /** Lets it work on the fetching once the store knows its holders. */
  open(): void {
    this.#isPaused = false;
    this.#open();
  }

  /** A worker that was paused stays paused; any other goes on by itself. */
  async detach(): Promise<void> {
    this.#host = undefined;
    this.#isOwned = false;
    if (!this.#isPaused) return this.#open();
    if (this.#phase !== "started") return;
    await this.#poller.stop();
    this.#stopKeeper();
    await this.#record.stop().catch(() => {}); // it has left: nothing of it shall be seen
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    await Promise.all(this.#fetchers.map((fetcher) => fetcher.close()));
  }

  async resume(renew: boolean): Promise<void> {
    if (renew) await this.#holders.renew();
    this.open();
  }

  get #hosted(): Host {
    return this.#host ?? this.#alone;
  }

  get #writesWorkers(): boolean {
    const { sidekiq } = this.#parts.options;
    if (sidekiq !== undefined) return sidekiq === 6;
    return this.#versions.length === 0 || Math.min(...this.#versions) < 7;
  }

  #open(): void {
    const mayFetch = this.#phase === "started" && !this.#isPaused && !this.#isQuiet;
    if (!mayFetch || (this.#isOwned && this.#host === undefined)) return;
    for (const fetcher of this.#fetchers) fetcher.open();
  }

  #fetchersFor(ends: Ends, executor: Executor): readonly Fetcher[] {
    const { redis, keys, identity, live } = this;
    const { options, telling } = this.#parts;
    const shared = { redis, keys, identity, live, holders: this.#holders, watches: this.#watches };
    const calls = {
      writeWorkers: () => this.#writesWorkers,
      fetch: (call: Call) => ends.fetch(call),
      start: (job: Fetched, freed: () => void) => executor.start(job, freed),
      tell: (error: unknown) => telling.error(error),
    };
    return options.sets.map((set) => new Fetcher({ ...shared, ...set, ...calls }));
  }

  #executor(ends: Ends): Executor {
    const { redis, keys, live } = this;
    const { options, classes, middleware, deathHandlers, telling } = this.#parts;
    const sidekiq = (): number => options.sidekiq ?? Math.max(7, ...this.#versions);
    const format = (): { unit: typeof options.unit; sidekiq: number } => ({ unit: options.unit, sidekiq: sidekiq() });
    const host = (): Host => this.#hosted;
    return new Executor({ redis, keys, ends, live, classes, middleware, deathHandlers, format, host, telling });
  }

  /* Newest first, each in front of the one before: the oldest is the next to run. Handlers hear of it when it is back. */
  async #giveBackLive(): Promise<void> {
    const { redis, keys } = this;
    const newestFirst = [...this.live.all].toSorted((one, other) => other.run.run - one.run.run);
    const { unit } = this.#parts.options;
    const back = newestFirst.map(({ run, fetched: { queue, text } }) =>
      giveBack({ redis, keys }, queue, run.proof, refreshed(readText(text), queue, unit)),
    );
    for (const { status, ...rest } of await Promise.allSettled(back))
      if (status === "rejected") this.#parts.telling.error(Reflect.get(rest, "reason"));
    for (const { run } of newestFirst) this.#hosted.lost(run, "its worker was stopped before it had ended");
  }
}
