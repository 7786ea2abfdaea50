/* Bee-Queue for Assured Jobs: composition and ownership. What each verb does, and why it is safe, stands in its own file. */
import { AssuranceError } from "@assured-jobs/core";
import type {
  AdapterHost,
  DeadHolder,
  Finding,
  Fleet,
  JobState,
  Orphan,
  QueueAdapter,
  RequeueOutcome,
  StoreConnection,
} from "@assured-jobs/core";
import { Ownership, tracking } from "@assured-jobs/core/adapter-kit";
import type { IsTracked, Track } from "@assured-jobs/core/adapter-kit";
import { discardJob, jobState, promoteJob, releaseBuried, retryFailed } from "./actions.ts";
import { audit } from "./audit.ts";
import { connectionOf } from "./connection.ts";
import { heal } from "./heal.ts";
import { queueKey } from "./keys.ts";
import type { BeeQueue, NativeQueue } from "./native.ts";
import { orphansOf } from "./owners.ts";
import { QueueHook } from "./queue-hook.ts";
import { recogniseQueue } from "./recognise.ts";
import { bury, requeue } from "./requeue.ts";
import { Runs } from "./runs.ts";
import { ServedQueue } from "./served-queue.ts";
import { upkeep } from "./upkeep.ts";
import type { Unclaimed } from "./upkeep.ts";
import { checkServer } from "./server.ts";

export interface BeeAdapterOptions {
  /**
   * Queues of this process. Those that are workers run their jobs under assurance once `process()` was called; the
   * others are recovered by this process without working on them.
   */
  readonly queues?: readonly BeeQueue[];
  /** Queues to track, by name (Bee's jobs have none). Default: all. The others keep Bee's own rules. */
  readonly track?: Track;
  /**
   * What to do with a job that is active and that no assured run holds. Default `stalled`: Bee's own stall rule, under
   * which workers without assurance are safe. `sweep`: back to the queue after two seconds; only where every worker of
   * these queues is assured, for the jobs of all others would run twice.
   */
  readonly unclaimed?: Unclaimed;
}

/** A QueueAdapter for Bee-Queue whose queues may come and go at run time. */
export interface BeeAdapter extends QueueAdapter {
  /** Serves one more queue. Resolves once the store knows it; rejects for what it cannot take. */
  add(queue: BeeQueue): Promise<void>;
  /** Serves it no longer. Runs that go on stay ours until they end. */
  remove(queue: BeeQueue): Promise<void>;
}

/**
 * Makes the jobs of plain Bee queues survive the death of their process. Works with bee-queue 2 on Redis 6.2 and newer.
 * Make it in the turn in which the queues are made: then they also survive a Redis that is down at that moment.
 * Throws an AssuranceError (ERR_OPTION, ERR_QUEUE_UNSUPPORTED) for what it cannot take.
 */
export function beeAdapter(options: BeeAdapterOptions = {}): BeeAdapter {
  return new Adapter(options);
}

interface Served {
  readonly queue: ServedQueue;
  readonly runs: Runs;
}

const owners = new Ownership<NativeQueue>(({ name }) => `beeAdapter: a Queue object of "${name}"`);

class Adapter implements BeeAdapter {
  readonly name = "bee";
  readonly #isTracked: IsTracked;
  readonly #unclaimed: Unclaimed;
  readonly #served = new Map<string, Served>();
  readonly #hooks = new Map<NativeQueue, QueueHook>();
  readonly #healing = new Map<NativeQueue, () => void>();
  #host: AdapterHost | undefined;

  constructor({ queues = [], track, unclaimed = "stalled" }: BeeAdapterOptions) {
    this.#isTracked = tracking(track, "beeAdapter", "queue names");
    this.#unclaimed = checkUnclaimed(unclaimed);
    for (const queue of listOf(queues)) this.#take(queue);
    this.#ownAll();
  }

  get queues(): readonly string[] {
    return [...this.#served.keys()];
  }

  connection(): StoreConnection | undefined {
    const first = this.#served.values().next().value?.queue.first;
    return first && connectionOf(first);
  }

  async add(queue: BeeQueue): Promise<void> {
    const hook = this.#take(queue);
    this.#ownAll();
    if (hook !== undefined && this.#host !== undefined) this.#attachOne(hook, this.#host);
    await this.#host?.changed();
  }

  async remove(queue: BeeQueue): Promise<void> {
    const native = queue as unknown as NativeQueue;
    const hook = this.#hooks.get(native);
    if (hook === undefined) this.#leave(native);
    else await hook.retire();
    await this.#host?.changed();
  }

  // --- this process ---

  async attach(host: AdapterHost): Promise<void> {
    this.#ownAll();
    this.#host = host;
    for (const hook of this.#hooks.values()) this.#attachOne(hook, host);
  }

  async detach(): Promise<void> {
    this.#host = undefined;
    for (const hook of this.#hooks.values()) {
      hook.detach();
      owners.disown(hook.queue, this);
    }
    for (const undo of this.#healing.values()) undo();
    this.#healing.clear();
  }

  holders(queue: string): readonly string[] {
    return this.#hooksOf(queue).map(({ holder }) => holder);
  }

  async pause(): Promise<void> {
    await Promise.all([...this.#hooks.values()].map((hook) => hook.pause()));
  }

  async resume({ renew }: { readonly renew: boolean }): Promise<void> {
    if (renew) await this.#renewHolders();
    for (const hook of this.#hooks.values()) hook.resume();
  }

  /* Known to the store before the first fetch under them. A closed queue fetches no more: its holder died with the rest. */
  async #renewHolders(): Promise<void> {
    for (const hook of this.#hooks.values()) {
      if (hook.isClosed) this.#drop(hook);
      else hook.renew();
    }
    await this.#host?.changed();
  }

  // --- recovery ---

  heldBy(queue: string, dead: readonly DeadHolder[]): Promise<readonly Orphan[]> {
    return orphansOf(this.#queue(queue), dead);
  }

  requeue(orphan: Orphan, { delay }: { readonly delay: number }): Promise<RequeueOutcome> {
    return requeue(this.#queue(orphan.queue), orphan, delay);
  }

  bury(orphan: Orphan, reason: string): Promise<"buried" | Exclude<RequeueOutcome, "requeued">> {
    return bury(this.#queue(orphan.queue), orphan, reason);
  }

  upkeep(queue: string, fleet: Fleet): Promise<void> {
    const served = this.#queue(queue);
    const { stallInterval } = served.member.settings;
    const warn = (message: string): void => this.#host?.warn(message);
    return upkeep(served, fleet, { unclaimed: this.#unclaimed, stallInterval, warn });
  }

  state(queue: string, id: string): Promise<JobState> {
    return jobState(this.#queue(queue), id);
  }

  promote(queue: string, id: string): Promise<void> {
    return promoteJob(this.#queue(queue), id);
  }

  // --- people ---

  retry(queue: string, id: string): Promise<void> {
    return retryFailed(this.#queue(queue), id);
  }

  discard(queue: string, id: string): Promise<void> {
    return discardJob(this.#queue(queue), id);
  }

  release(queue: string, id: string): Promise<void> {
    return releaseBuried(this.#queue(queue), id);
  }

  audit(
    queue: string,
    { repair, fleet }: { readonly repair: boolean; readonly fleet: Fleet },
  ): Promise<readonly Finding[]> {
    return audit(this.#queue(queue), fleet, repair);
  }

  // --- ownership ---

  /* Undefined for a queue that is no worker, or not tracked. */
  #take(candidate: BeeQueue): QueueHook | undefined {
    const queue = recogniseQueue(candidate);
    if (!this.#isTracked(queue.name)) return undefined;
    owners.check(queue, this);
    if (this.#healing.has(queue)) throw twice(queue.name);
    this.#healing.set(queue, heal(queue));
    const served = this.#join(queue);
    if (!queue.settings.isWorker) return undefined;
    const hook = new QueueHook(queue, {
      served: served.queue,
      runs: served.runs,
      gone: (gone) => this.#drop(gone),
    });
    this.#hooks.set(queue, hook);
    return hook;
  }

  #attachOne(hook: QueueHook, host: AdapterHost): void {
    checkServer(hook.queue, host);
    hook.attach(host);
  }

  #ownAll(): void {
    for (const queue of this.#healing.keys()) owners.own(queue, this);
  }

  #join(queue: NativeQueue): Served {
    const key = queueKey(queue);
    let served = this.#served.get(key);
    if (served === undefined) {
      served = { queue: new ServedQueue(queue), runs: new Runs() };
      this.#served.set(key, served);
    }
    served.queue.join(queue);
    return served;
  }

  #drop(hook: QueueHook): void {
    if (!this.#hooks.delete(hook.queue)) return;
    hook.detach();
    this.#leave(hook.queue);
    void this.#host?.changed();
  }

  #leave(queue: NativeQueue): void {
    owners.disown(queue, this);
    this.#healing.get(queue)?.();
    this.#healing.delete(queue);
    const key = queueKey(queue);
    const served = this.#served.get(key)?.queue;
    served?.leave(queue);
    if (served?.isEmpty === true) this.#served.delete(key);
  }

  #queue(key: string): ServedQueue {
    const served = this.#served.get(key);
    if (served === undefined) throw unserved(key);
    return served.queue;
  }

  #hooksOf(queue: string): readonly QueueHook[] {
    return [...this.#hooks.values()].filter((hook) => hook.served.key === queue);
  }
}

function listOf(value: readonly BeeQueue[]): readonly BeeQueue[] {
  if (Array.isArray(value)) return value;
  throw new AssuranceError(
    "ERR_OPTION",
    `beeAdapter: queues must be a list of Bee-Queue Queue objects, got ${typeof value}.`,
  );
}

function checkUnclaimed(given: unknown): Unclaimed {
  if (given === "stalled" || given === "sweep") return given;
  throw new AssuranceError(
    "ERR_OPTION",
    `beeAdapter: unclaimed must be "stalled" or "sweep", got ${JSON.stringify(given)}.`,
  );
}

const twice = (name: string): AssuranceError =>
  new AssuranceError(
    "ERR_OPTION",
    `beeAdapter: the same Queue object of "${name}" was given twice. Pass each Queue once.`,
  );

const unserved = (key: string): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNREACHABLE",
    `This process does not serve ${key}: give a Queue for it to beeAdapter().`,
  );
