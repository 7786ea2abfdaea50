/* Sidekiq's queues for Assured Jobs: composition and ownership. What each verb does, and why it is safe, stands in its own
 * file. */
import { AssuranceError } from "@assured-jobs/core";
import type {
  AdapterHost,
  DeadHolder,
  Finding,
  Fleet,
  Guest,
  JobState,
  Orphan,
  QueueAdapter,
  RequeueOutcome,
  StoreConnection,
} from "@assured-jobs/core";
import { Ownership } from "@assured-jobs/core/adapter-kit";
import { discardJob, promoteJob, releaseBuried, retryDead } from "./actions.ts";
import { Connection } from "./connection.ts";
import { findJob, stateOf } from "./find.ts";
import { Holdings } from "./holdings.ts";
import { keysWith, queueKey } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { checkAdapterOptions } from "./options.ts";
import type { CheckedAdapterOptions, SidekiqAdapterOptions } from "./options.ts";
import { Upkeep } from "./upkeep.ts";
import type { Engine } from "./worker/engine.ts";
import { engineOf } from "./worker/worker.ts";
import type { SidekiqWorker } from "./worker/worker.ts";

/** A QueueAdapter for Sidekiq's queues whose workers may come and go at run time. */
export interface SidekiqAdapter extends QueueAdapter {
  /** Serves one more worker. Resolves once the store knows it; rejects for what it cannot take. */
  add(worker: SidekiqWorker): Promise<void>;
  /** Serves it no longer: it is stopped, and what it still ran is given back. */
  remove(worker: SidekiqWorker): Promise<void>;
}

/**
 * Makes the jobs of SidekiqWorkers survive the death of their process, and recovers those of dead ones. Works with the keys
 * of Sidekiq 6.4 to 8.1 on Redis 6.2 and newer. Throws an AssuranceError (ERR_OPTION) for what it cannot take.
 */
export function sidekiqAdapter(options: SidekiqAdapterOptions): SidekiqAdapter {
  return new Adapter(checkAdapterOptions(options));
}

const owners = new Ownership<SidekiqWorker>(() => "sidekiqAdapter: this SidekiqWorker");

interface Served {
  readonly name: string;
  readonly upkeep: Upkeep;
}

class Adapter implements SidekiqAdapter {
  readonly name = "sidekiq";
  readonly #options: CheckedAdapterOptions;
  readonly #keys: Keys;
  readonly #redis: Connection;
  readonly #holdings: Holdings;
  readonly #workers = new Map<SidekiqWorker, Engine>();
  readonly #served = new Map<string, Served>();
  #host: AdapterHost | undefined;

  constructor(options: CheckedAdapterOptions) {
    this.#options = options;
    this.#keys = keysWith(options.prefix);
    this.#redis = new Connection(options.target, "assured-jobs:adapter");
    const { recoverTo, unit, ruby } = options;
    this.#holdings = new Holdings({ redis: this.#redis, keys: this.#keys, recoverTo, unit, ruby });
    for (const queue of options.queues) this.#serve(queue);
    for (const worker of options.workers) this.#take(worker);
  }

  get queues(): readonly string[] {
    return [...this.#served.keys()];
  }

  connection(): StoreConnection {
    return this.#options.target;
  }

  async add(worker: SidekiqWorker): Promise<void> {
    const engine = this.#take(worker);
    if (this.#host === undefined) return;
    await engine.attach(this.#host);
    await this.#host.changed();
    engine.open();
  }

  async remove(worker: SidekiqWorker): Promise<void> {
    if (!this.#workers.has(worker)) return;
    await worker.stop();
    this.#workers.delete(worker);
    owners.disown(worker, this);
    await this.#host?.changed();
  }

  // --- this process ---

  async attach(host: AdapterHost): Promise<void> {
    this.#host = host;
    for (const [worker, engine] of this.#workers) {
      owners.own(worker, this);
      await engine.attach(host);
    }
    void host.joined.then(() => this.#open(host));
  }

  /* Its start may have failed meanwhile. */
  #open(host: AdapterHost): void {
    if (this.#host === host) for (const engine of this.#engines) engine.open();
  }

  async detach(): Promise<void> {
    const wasAttached = this.#host !== undefined;
    this.#host = undefined;
    for (const [worker, engine] of wasAttached ? this.#workers : []) {
      await engine.detach();
      owners.disown(worker, this);
    }
    await this.#holdings.rest().catch(() => {}); // what it took lapses by itself
    this.#redis.rest();
  }

  holders(queue: string): readonly string[] {
    const name = this.#queue(queue).name;
    return this.#engines.filter(({ queues }) => queues.includes(name)).flatMap(({ holders }) => holders);
  }

  async pause(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.pause()));
  }

  async resume({ renew }: { readonly renew: boolean }): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.resume(renew)));
  }

  // --- recovery ---

  async heldBy(queue: string, dead: readonly DeadHolder[]): Promise<readonly Orphan[]> {
    const { name, upkeep } = this.#queue(queue);
    const orphans = await this.#holdings.orphansOf(name, dead);
    for (const { proof } of orphans) upkeep.orphaned(proof);
    return orphans;
  }

  requeue(orphan: Orphan, { delay }: { readonly delay: number }): Promise<RequeueOutcome> {
    return this.#holdings.requeue(this.#queue(orphan.queue).name, orphan, delay);
  }

  bury(orphan: Orphan, reason: string): Promise<"buried" | Exclude<RequeueOutcome, "requeued">> {
    return this.#holdings.bury(this.#queue(orphan.queue).name, orphan, reason);
  }

  /** Ruby processes that are watched and serve the queue. */
  async guests(queue: string): Promise<readonly Guest[] | undefined> {
    return (await this.#holdings.guests())?.filter(({ holders }) => holders[queue] !== undefined);
  }

  upkeep(queue: string, fleet: Fleet): Promise<void> {
    return this.#queue(queue).upkeep.round(fleet);
  }

  async state(queue: string, id: string): Promise<JobState> {
    return stateOf(await findJob(this.#place, this.#queue(queue).name, id));
  }

  promote(queue: string, id: string): Promise<void> {
    return promoteJob(this.#desk, this.#queue(queue).name, id);
  }

  // --- people ---

  retry(queue: string, id: string): Promise<void> {
    return retryDead(this.#desk, this.#queue(queue).name, id);
  }

  discard(queue: string, id: string): Promise<void> {
    return discardJob(this.#desk, this.#queue(queue).name, id);
  }

  release(queue: string, id: string): Promise<void> {
    return releaseBuried(this.#desk, this.#queue(queue).name, id);
  }

  audit(queue: string, { fleet }: { readonly fleet: Fleet }): Promise<readonly Finding[]> {
    return this.#queue(queue).upkeep.findings(fleet);
  }

  // --- ownership ---

  get #engines(): readonly Engine[] {
    return [...this.#workers.values()];
  }

  get #place(): { redis: Connection; keys: Keys } {
    return { redis: this.#redis, keys: this.#keys };
  }

  get #desk(): { redis: Connection; keys: Keys; unit: CheckedAdapterOptions["unit"] } {
    return { ...this.#place, unit: this.#options.unit };
  }

  #take(worker: SidekiqWorker): Engine {
    const engine = engineOf(worker);
    if (engine === undefined) throw foreign(worker);
    if (engine.keys.prefix !== this.#keys.prefix) throw otherPrefix(engine.keys.prefix, this.#keys.prefix);
    owners.check(worker, this);
    owners.own(worker, this);
    engine.own();
    this.#workers.set(worker, engine);
    for (const queue of engine.queues) this.#serve(queue);
    return engine;
  }

  #serve(name: string): void {
    const key = queueKey(this.#keys.prefix, name);
    if (!this.#served.has(key)) this.#served.set(key, { name, upkeep: new Upkeep(this.#place, name) });
  }

  #queue(key: string): Served {
    const served = this.#served.get(key);
    if (served === undefined) throw unserved(key);
    return served;
  }
}

const foreign = (got: unknown): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNSUPPORTED",
    `sidekiqAdapter: expected a SidekiqWorker of this package, got ${typeof got}.`,
  );

const otherPrefix = (got: string, expected: string): AssuranceError =>
  new AssuranceError(
    "ERR_OPTION",
    `sidekiqAdapter: prefix is ${JSON.stringify(expected)}, but the worker has ${JSON.stringify(got)}. One adapter serves one prefix.`,
  );

const unserved = (key: string): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNREACHABLE",
    `This process does not serve ${key}: name the queue in the options of sidekiqAdapter(), or give it a worker of it.`,
  );
