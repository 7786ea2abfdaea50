/* BullMQ for Assured Jobs: composition and ownership. What each verb does, and why it is safe, stands in its own file. */
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
import { discardJob, jobState, promoteJob, releaseBuried, retryFailed } from "./actions.ts";
import { audit } from "./audit.ts";
import { connectionOf } from "./connection.ts";
import { queueKey } from "./keys.ts";
import type { BullmqQueue, BullmqWorker, NativeMember } from "./native.ts";
import { orphansOf } from "./orphans.ts";
import { isWorker, recogniseQueue, recogniseWorker } from "./recognise.ts";
import { bury, requeue } from "./requeue.ts";
import { Runs } from "./runs.ts";
import { ServedQueue } from "./served-queue.ts";
import { Ownership, tracking } from "@assured-jobs/core/adapter-kit";
import type { IsTracked, Track } from "@assured-jobs/core/adapter-kit";
import { upkeep } from "./upkeep.ts";
import type { StallRules } from "./upkeep.ts";
import { WorkerHook } from "./worker-hook.ts";

export interface BullmqAdapterOptions {
  /** Workers of this process. Their jobs are recovered when this process dies. */
  readonly workers?: readonly BullmqWorker[];
  /** Queues that this process recovers without working on them. */
  readonly queues?: readonly BullmqQueue[];
  /** Jobs to track, by name. Default: all. The others keep BullMQ's own rules. */
  readonly track?: Track;
}

/** A QueueAdapter for BullMQ whose workers and queues may come and go at run time. */
export interface BullmqAdapter extends QueueAdapter {
  /** Serves one more worker or queue. Resolves once the store knows the worker's id; rejects for what it cannot take. */
  add(member: BullmqWorker | BullmqQueue): Promise<void>;
  /** Serves it no longer. Runs that go on stay ours until they end. */
  remove(member: BullmqWorker | BullmqQueue): Promise<void>;
}

/**
 * Makes the jobs of plain BullMQ workers survive the death of their process. Works with BullMQ 5.64 and newer, and 6,
 * on Redis. Throws an AssuranceError (ERR_OPTION, ERR_QUEUE_UNSUPPORTED) for what it cannot take.
 */
export function bullmqAdapter(options: BullmqAdapterOptions = {}): BullmqAdapter {
  return new Adapter(options);
}

interface Served {
  readonly queue: ServedQueue;
  readonly runs: Runs;
}

const DEFAULT_RULES: StallRules = { lockDuration: 30_000, stalledInterval: 30_000, maxStalledCount: 1 };

const owners = new Ownership<NativeMember>(({ name }) => `bullmqAdapter: a Worker of queue "${name}"`);

class Adapter implements BullmqAdapter {
  readonly name = "bullmq";
  readonly #isTracked: IsTracked;
  readonly #served = new Map<string, Served>();
  readonly #hooks = new Map<object, WorkerHook>();
  #host: AdapterHost | undefined;

  constructor({ workers = [], queues = [], track }: BullmqAdapterOptions) {
    this.#isTracked = tracking(track, "bullmqAdapter", "job names");
    for (const worker of listOf(workers, "workers")) this.#hook(worker);
    for (const queue of listOf(queues, "queues")) this.#join(recogniseQueue(queue));
    this.#ownAll();
  }

  get queues(): readonly string[] {
    return [...this.#served.keys()];
  }

  connection(): StoreConnection | undefined {
    const first = this.#served.values().next().value?.queue.first;
    return first && connectionOf(first.opts.connection);
  }

  async add(member: BullmqWorker | BullmqQueue): Promise<void> {
    if (isWorker(member)) {
      const hook = this.#hook(member);
      this.#ownAll();
      if (this.#host !== undefined) await hook.attach(this.#host);
    } else {
      this.#join(recogniseQueue(member));
    }
    await this.#host?.changed();
  }

  async remove(member: BullmqWorker | BullmqQueue): Promise<void> {
    const hook = this.#hooks.get(member);
    if (hook === undefined) {
      this.#leave(queueKey(member.qualifiedName), member as unknown as NativeMember);
    } else {
      hook.retire();
    }
    await this.#host?.changed();
  }

  // --- this process ---

  async attach(host: AdapterHost): Promise<void> {
    this.#ownAll();
    this.#host = host;
    await Promise.all([...this.#hooks.values()].map((hook) => hook.attach(host)));
  }

  async detach(): Promise<void> {
    this.#host = undefined;
    for (const hook of this.#hooks.values()) {
      hook.detach();
      owners.disown(hook.worker, this);
    }
  }

  holders(queue: string): readonly string[] {
    return this.#hooksOf(queue).map(({ worker }) => worker.id);
  }

  async pause(): Promise<void> {
    await Promise.all([...this.#hooks.values()].map((hook) => hook.pause()));
  }

  async resume({ renew }: { readonly renew: boolean }): Promise<void> {
    if (renew) await this.#renewIds();
    await Promise.all([...this.#hooks.values()].map((hook) => hook.resume()));
  }

  /* Known to the store before the first fetch under them. A closed worker fetches no more: its id died with the rest. */
  async #renewIds(): Promise<void> {
    for (const hook of this.#hooks.values()) {
      if (hook.isClosed) this.#drop(hook);
      else hook.renewId();
    }
    await this.#host?.changed();
  }

  // --- recovery ---

  heldBy(queue: string, dead: readonly DeadHolder[]): Promise<readonly Orphan[]> {
    return orphansOf(this.#queue(queue), dead, this.#isTracked);
  }

  requeue(orphan: Orphan, { delay }: { readonly delay: number }): Promise<RequeueOutcome> {
    return requeue(this.#queue(orphan.queue), orphan, delay);
  }

  bury(orphan: Orphan, reason: string): Promise<"buried" | Exclude<RequeueOutcome, "requeued">> {
    return bury(this.#queue(orphan.queue), orphan, reason);
  }

  upkeep(queue: string, fleet: Fleet): Promise<void> {
    return upkeep(this.#queue(queue), fleet, { rules: this.#rulesOf(queue), isTracked: this.#isTracked });
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

  #hook(candidate: BullmqWorker): WorkerHook {
    const worker = recogniseWorker(candidate);
    owners.check(worker, this);
    if (this.#hooks.has(worker)) throw twice(worker.name);
    const { queue, runs } = this.#join(worker);
    const hook = new WorkerHook(worker, { queue, runs, isTracked: this.#isTracked, gone: (gone) => this.#drop(gone) });
    this.#hooks.set(worker, hook);
    return hook;
  }

  #ownAll(): void {
    for (const { worker } of this.#hooks.values()) owners.own(worker, this);
  }

  #join(member: NativeMember): Served {
    const key = queueKey(member.qualifiedName);
    let served = this.#served.get(key);
    if (served === undefined) {
      const queue = new ServedQueue(member.qualifiedName);
      served = { queue, runs: new Runs(queue) };
      this.#served.set(key, served);
    }
    served.queue.join(member);
    return served;
  }

  #drop(hook: WorkerHook): void {
    hook.detach();
    owners.disown(hook.worker, this);
    this.#hooks.delete(hook.worker);
    this.#leave(hook.queue.key, hook.worker);
    void this.#host?.changed();
  }

  #leave(key: string, member: NativeMember): void {
    const queue = this.#served.get(key)?.queue;
    queue?.leave(member);
    if (queue?.isEmpty === true) this.#served.delete(key);
  }

  #queue(key: string): ServedQueue {
    const served = this.#served.get(key);
    if (served === undefined) throw unserved(key);
    return served.queue;
  }

  #hooksOf(queue: string): readonly WorkerHook[] {
    return [...this.#hooks.values()].filter((hook) => hook.queue.key === queue);
  }

  /* Where workers of one queue differ, the patient one decides. */
  #rulesOf(queue: string): StallRules {
    const all = this.#hooksOf(queue).map(({ rules }) => rules);
    if (all.length === 0) return DEFAULT_RULES;
    return {
      lockDuration: Math.max(...all.map((rules) => rules.lockDuration)),
      stalledInterval: Math.max(...all.map((rules) => rules.stalledInterval)),
      maxStalledCount: Math.max(...all.map((rules) => rules.maxStalledCount)),
    };
  }
}

function listOf<T>(value: readonly T[], option: string): readonly T[] {
  if (Array.isArray(value)) return value;
  throw new AssuranceError(
    "ERR_OPTION",
    `bullmqAdapter: ${option} must be a list of BullMQ objects, got ${typeof value}.`,
  );
}

const twice = (name: string): AssuranceError =>
  new AssuranceError(
    "ERR_OPTION",
    `bullmqAdapter: the same Worker of queue "${name}" was given twice. Pass each Worker once.`,
  );

const unserved = (key: string): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNREACHABLE",
    `This process does not serve ${key}: give a Worker or Queue for it to bullmqAdapter().`,
  );
