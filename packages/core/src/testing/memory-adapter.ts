/* A complete QueueAdapter, for memoryQueue(): with its own small worker, it plays one process.
 *
 * Nothing is moved but by a compare of the proof in the queue, so it may be called by anybody at any time. A holder
 * id is told to the store before the first fetch under it, so there is no moment in which nobody knows whose a job is.
 */
import { randomUUID } from "node:crypto";
import type {
  AdapterHost,
  DeadHolder,
  Finding,
  Fleet,
  JobState,
  QueueAdapter,
  RequeueOutcome,
  Run,
  RunControl,
} from "../adapter.ts";
import { AssuranceError } from "../errors.ts";
import type { Orphan } from "../store.ts";
import type { HeldJob, MemoryQueue } from "./memory-queue.ts";

/** Options of memoryAdapter(). */
export interface MemoryAdapterOptions {
  readonly queue: MemoryQueue;
  /** Runs a job. Without it this is a process that only recovers. */
  readonly process?: (job: HeldJob, signal: AbortSignal) => Promise<unknown>;
  /** 1 by default. */
  readonly concurrency?: number;
}

/** One simulated process. */
export interface MemoryAdapter extends QueueAdapter {
  /** As after SIGKILL: it fetches and finishes nothing any more, and its runs stay held in the queue's record. */
  crash(): void;
}

/** A process that works on a memory queue from attach() to detach(). */
export function memoryAdapter(options: MemoryAdapterOptions): MemoryAdapter {
  return new AdapterInMemory(options);
}

const POLL = 5;

class AdapterInMemory implements MemoryAdapter {
  readonly name = "memory";
  readonly queues: readonly string[];
  readonly #queue: MemoryQueue;
  readonly #process: MemoryAdapterOptions["process"];
  readonly #concurrency: number;
  #holder: string = randomUUID();
  #host: AdapterHost | undefined;
  #timer: NodeJS.Timeout | undefined;
  #paused = false;
  #crashed = false;
  #running = 0;

  constructor({ queue, process, concurrency = 1 }: MemoryAdapterOptions) {
    this.#queue = queue;
    this.#process = process;
    this.#concurrency = concurrency;
    this.queues = [queue.key];
  }

  async attach(host: AdapterHost): Promise<void> {
    this.#host = host;
    await host.changed();
    this.#timer ??= setInterval(() => this.#fetch(), POLL).unref();
  }

  async detach(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  holders(): readonly string[] {
    return [this.#holder];
  }

  async pause(): Promise<void> {
    this.#paused = true;
  }

  async resume({ renew }: { readonly renew: boolean }): Promise<void> {
    if (renew) {
      this.#holder = randomUUID();
      await this.#host?.changed();
    }
    this.#paused = false;
  }

  crash(): void {
    this.#crashed = true;
    clearInterval(this.#timer);
  }

  /* Each goes to the front, so the newest first: the oldest is then the next to run. */
  async heldBy(_queue: string, dead: readonly DeadHolder[]): Promise<readonly Orphan[]> {
    const holders = new Map(dead.flatMap(({ incarnation, ids }) => ids.map((id) => [id, incarnation] as const)));
    return this.#queue.held.toReversed().flatMap((job) => {
      const holder = holders.get(job.holder);
      return holder === undefined ? [] : [{ ...this.#runOf(job), holder }];
    });
  }

  async requeue(orphan: Orphan, { delay }: { readonly delay: number }): Promise<RequeueOutcome> {
    return this.#queue.requeue(orphan, delay);
  }

  async bury(orphan: Orphan, reason: string): Promise<"buried" | Exclude<RequeueOutcome, "requeued">> {
    return this.#queue.bury(orphan, reason);
  }

  async state(_queue: string, id: string): Promise<JobState> {
    const state = this.#queue.get(id)?.state ?? "missing";
    return state === "buried" ? "failed" : state;
  }

  async promote(_queue: string, id: string): Promise<void> {
    this.#queue.promote(id);
  }

  async retry(_queue: string, id: string): Promise<void> {
    this.#queue.putBack(id, ["failed"]);
  }

  async discard(_queue: string, id: string): Promise<void> {
    this.#queue.discard(id, ["waiting", "failed", "buried", "finished"]);
  }

  async release(_queue: string, id: string): Promise<void> {
    this.#queue.putBack(id, ["buried"]);
  }

  /* Nothing is repaired here: who holds a job without being known may register at any moment. */
  async audit(queue: string, { fleet }: { readonly fleet: Fleet }): Promise<readonly Finding[]> {
    const strangers = this.#queue.held.filter(({ holder }) => !fleet.living.has(holder));
    return strangers.map(({ id, holder }) => {
      return {
        kind: "memory.ownerless",
        queue,
        job: id,
        detail: `held by ${holder}, whom nobody knows`,
        repaired: false,
      };
    });
  }

  #fetch(): void {
    while (this.#process && this.#host && !this.#paused && this.#running < this.#concurrency) {
      const job = this.#queue.fetch(this.#holder);
      if (!job) return;
      this.#running++;
      void this.#host
        .run(this.#runOf(job), (control) => this.#execute(job, control))
        .catch(() => {}) // how it ended stands in the queue
        .finally(() => this.#running--);
    }
  }

  async #execute(job: HeldJob, control: RunControl): Promise<unknown> {
    let failure: unknown;
    const result = await this.#process?.(job, control.signal).catch(
      (error: unknown) => (failure = error ?? new Error("failed")),
    );
    if (this.#crashed) return new Promise(() => {}); // the dead say nothing
    if (failure !== undefined && isHandover(control.givenUp)) this.#queue.requeue(job, 0);
    else if (failure !== undefined && isFenced(control.givenUp)) throw failure; // it is left to those who give it away
    else if (!this.#queue.end(job, failure)) this.#host?.lost(this.#runOf(job), "its job was given away");
    if (failure !== undefined) throw failure;
    return result;
  }

  #runOf({ id, run, name, proof }: HeldJob): Run {
    return { queue: this.#queue.key, id, run, name, proof };
  }
}

/* A handler that stops because its process leaves has not failed: its job goes back. */
function isHandover(reason: Error | undefined): boolean {
  return reason instanceof AssuranceError && reason.code === "ERR_HANDOVER";
}

/* Nor has one that stops because its job is given away: perhaps nobody has moved the job yet. */
function isFenced(reason: Error | undefined): boolean {
  return reason instanceof AssuranceError && reason.code === "ERR_FENCED";
}
