/* This process in Sidekiq's own books, so that Sidekiq::Web, its API and the reaper of sidekiq-unique-jobs see it as one of
 * their own: `processes`, its hash, and the jobs it works on. The jobs are written by the scripts that fetch and end
 * them; a beat writes them again, in case Redis lost its data. The fields are those of launcher.rb.
 */
import { hostname } from "node:os";
import { Loop } from "@assured-jobs/core/adapter-kit";
import type { Connection } from "../connection.ts";
import type { Keys } from "../keys.ts";
import { beat } from "../scripts/beat.ts";
import { secondsText } from "../wire/timestamps.ts";
import type { LiveRuns } from "./live-runs.ts";
import type { QueueOrdering } from "./queue-order.ts";

/** A set of queues with slots of its own: what Sidekiq calls a capsule. */
export interface WorkerSet {
  readonly ordering: QueueOrdering;
  readonly concurrency: number;
}

export interface RecordParts {
  readonly redis: Connection;
  readonly keys: Keys;
  readonly identity: string;
  readonly sets: readonly WorkerSet[];
  readonly tag: string;
  readonly labels: readonly string[];
  readonly live: LiveRuns;
  readonly writeWorkers: () => boolean;
  readonly isQuiet: () => boolean;
  /** TSTP, TERM or TTIN from the Web. */
  readonly signalled: (signal: string) => void;
  readonly tell: (error: unknown) => void;
}

/** ms; Sidekiq's own is 5 s up to 6.5 and 10 s since. */
const INTERVAL = 5_000;

export class ProcessRecord {
  readonly #parts: RecordParts;
  readonly #loop: Loop;
  readonly #startedAt: number = Date.now();
  #roundTrip = 0;

  constructor(parts: RecordParts) {
    this.#parts = parts;
    this.#loop = new Loop(() => this.#step());
  }

  /** Resolves once the first beat was tried. */
  async start(): Promise<void> {
    await this.#step();
    this.#loop.start();
  }

  /** Beats now: something about this process changed. */
  wake(): void {
    this.#loop.wake();
  }

  /** Off the books, as a Ruby process that exits. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    const { redis, keys, identity } = this.#parts;
    await redis.call("SREM", keys.processes, identity);
    await redis.call("UNLINK", keys.work(identity), keys.workers(identity), keys.process(identity));
  }

  async #step(): Promise<number> {
    try {
      await this.#beat();
    } catch (error) {
      this.#parts.tell(error);
    }
    return INTERVAL;
  }

  async #beat(): Promise<void> {
    const { redis, keys, identity, live, isQuiet, writeWorkers } = this.#parts;
    const runs = [...live.all].filter(({ isEnding }) => !isEnding);
    const work = runs.flatMap(({ run, fetched, since }) => [
      run.run,
      JSON.stringify({ queue: fetched.queue, payload: fetched.text, run_at: Math.floor(since / 1_000) }),
    ]);
    const where = [keys.processes, keys.process(identity), keys.work(identity), keys.workers(identity)];
    const state = [identity, this.#info(), this.#concurrency, live.size, secondsText(Date.now())];
    const measured = [this.#roundTrip, String(isQuiet()), Math.round(process.memoryUsage.rss() / 1_024)];
    const sent = performance.now();
    const args = [...state, ...measured, writeWorkers() ? 1 : 0, ...work];
    const signal = await redis.run(beat, [...where, keys.signals(identity), ...args]);
    this.#roundTrip = Math.round((performance.now() - sent) * 1_000);
    if (typeof signal === "string") this.#parts.signalled(signal);
  }

  get #concurrency(): number {
    return this.#parts.sets.reduce((sum, { concurrency }) => sum + concurrency, 0);
  }

  #info(): string {
    const { identity, sets, tag, labels } = this.#parts;
    const weightsOf = ({ ordering }: WorkerSet): Record<string, number> =>
      Object.fromEntries(ordering.names.map((name) => [name, ordering.weights?.[name] ?? 0]));
    const capsules = sets.map((set, at) => [
      at === 0 ? "default" : `set-${at + 1}`,
      { concurrency: set.concurrency, mode: set.ordering.weights ? "weighted" : "strict", weights: weightsOf(set) },
    ]);
    const text = JSON.stringify({
      hostname: hostname(),
      started_at: null,
      pid: process.pid,
      tag,
      concurrency: this.#concurrency,
      queues: [...new Set(sets.flatMap(({ ordering }) => ordering.names))],
      weights: sets.map(weightsOf),
      labels,
      identity,
      version: "assured-jobs",
      embedded: false,
      capsules: Object.fromEntries(capsules) as object,
    });
    return text.replace('"started_at":null', `"started_at":${secondsText(this.#startedAt)}`); // a float, as Ruby reads it
  }
}
