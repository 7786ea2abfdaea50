/* The adapter contract: what a queue must be able to do so that its jobs survive the death of their process.
 *
 * The queue's own record is the truth about who holds a job. An adapter reads it (heldBy) and moves orphans back
 * (requeue) by an atomic compare-and-move in the queue's own store: it compares the orphan's `proof`, so two
 * recoverers, the queue's own stall check and a zombie can all act at once, and exactly one of them wins.
 *
 * Every verb may be repeated after a crash or a lost reply, and must then say what has become of the job.
 * describeAdapter() in @assured-jobs/core/testing tests all of this.
 */
import type { Claim, Orphan } from "./store.ts";
import type { Incarnation } from "./instance.ts";

/** What has become of an orphan. `already`: somebody else moved it, or it runs again: nothing was done. */
export type RequeueOutcome = "requeued" | "already" | "finished" | "vanished";

/** `waiting` includes delayed and paused; `missing`: the queue knows no such job. */
export type JobState = "waiting" | "held" | "finished" | "failed" | "missing";

/** A dead incarnation as one queue knew it. */
export interface DeadHolder {
  readonly incarnation: Incarnation;
  /** Its ids in the queue's own record. */
  readonly ids: readonly string[];
  /** Its claims in this queue, for records that lapse (a lock that is gone no longer names its owner). */
  readonly claims: readonly Claim[];
}

/** The living, as a queue's upkeep needs them: whose silence is no death. */
export interface Fleet {
  /** Observed time, ms. */
  readonly observed: number;
  /** Ids at this queue of every incarnation that is registered and not dead. */
  readonly living: ReadonlySet<string>;
  /** Those among them whose process is late or blocked, so that they cannot renew their own locks. */
  readonly mute: ReadonlySet<string>;
}

/** One run, as an adapter reports it to core. */
export interface Run {
  readonly queue: string;
  readonly id: string;
  /** The queue's own run number: the fencing token. */
  readonly run: number;
  readonly name?: string | undefined;
  readonly proof: string;
}

/** What core can say to a run that goes on. */
export interface RunControl {
  /** Why the run was given up (ERR_FENCED, ERR_HANDOVER); undefined as long as it is its process's own. */
  readonly givenUp: Error | undefined;
  /** Calls back when the run is given up; at once when it is already. */
  onGivenUp(listener: (reason: Error) => void): void;
  /** The same as a signal, made when somebody asks for it: most runs end without one. */
  readonly signal: AbortSignal;
}

/**
 * A process that works on a queue without our code, as the queue's own books list it. It becomes an instance like any
 * other: shown, and when it is gone declared dead, so that heldBy() is asked for what it held.
 */
export interface Guest {
  /** The same for all who read the books, and never used for another life of it. */
  readonly incarnation: Incarnation;
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  /** ms since 1970 */
  readonly startedAt: number;
  /** For each queue key its ids there. */
  readonly holders: Readonly<Record<string, readonly string[]>>;
  readonly state: "alive" | "dead";
  /** Why it is taken for dead. */
  readonly evidence: string;
}

/** Something an audit found in a queue. */
export interface Finding {
  /** Stable, dotted: `<adapter>.phantom`, `claim.stale`. */
  readonly kind: string;
  readonly queue?: string | undefined;
  readonly job?: string | undefined;
  /** What it is, for a person. */
  readonly detail: string;
  readonly repaired: boolean;
}

/** What core offers to an adapter that is attached. */
export interface AdapterHost {
  /** Resolves once the store knows this process, or cannot be asked: who can wait fetches nothing before. */
  readonly joined: Promise<void>;
  /**
   * Wraps one run from before its first instruction until the queue has accepted (or refused) its end. Core keeps
   * the claim, the signal and currentJob() for as long as `execute` takes; it passes its result or error through.
   */
  run<T>(run: Run, execute: (control: RunControl) => Promise<T>): Promise<T>;
  /** Proof that a run was given away (its lock belongs to another): core gives it up. */
  lost(run: Run, reason: string): void;
  /** Queues or holder ids changed: core registers them. Resolves once the store knows; never rejects. */
  changed(): Promise<void>;
  /** A warning for a person: what is wrong and what to do. Repeated ones are told once. */
  warn(message: string): void;
}

export interface QueueAdapter {
  /** Short and stable. The first part of every queue key. */
  readonly name: string;
  /** Keys of the queues it serves now, e.g. `<adapter>:payments`; may grow and shrink at run time. */
  readonly queues: readonly string[];
  /** How to reach the Redis of the first queue, in ioredis terms, as the default for the store. */
  connection?(): StoreConnection | undefined;

  // --- this process ---
  /** Hooks into the workers and reports every run from now on, and those already going on. */
  attach(host: AdapterHost): Promise<void>;
  /** Gives the workers back as they were. Idempotent. */
  detach(): Promise<void>;
  /** Ids under which this process holds jobs of `queue` from now on. Must be known to the store before the first fetch. */
  holders(queue: string): readonly string[];
  /**
   * Stops to fetch; runs go on. Resolves when no fetch is on its way any more: what one still brought is a run by then,
   * or back. Called again at the end of a handover, when the last runs may have fetched on top of their ends.
   */
  pause(): Promise<void>;
  /** Fetches again, under new holder ids when `renew` is set: those of a dead incarnation are never used again. */
  resume(options: { readonly renew: boolean }): Promise<void>;

  // --- recovery ---
  /** Orphans of the dead in the queue's own record, in the order in which they are best given back. */
  heldBy(queue: string, dead: readonly DeadHolder[]): Promise<readonly Orphan[]>;
  /** Compare-and-move back to the queue, at the front. With `delay` (ms) it becomes due later. */
  requeue(orphan: Orphan, options: { readonly delay: number }): Promise<RequeueOutcome>;
  /** Compare-and-move to where the queue keeps failed jobs, with the reason; the job is kept whatever its options say. */
  bury(orphan: Orphan, reason: string): Promise<"buried" | Exclude<RequeueOutcome, "requeued">>;
  /** Refuses whatever an incarnation still sends: written to the queue's own store before the first requeue. */
  certify?(queue: string, incarnation: Incarnation): Promise<void>;
  /** Called once per recovery interval by the one on duty: keeps the queue's own stall check and the locks of the mute in order. */
  upkeep?(queue: string, fleet: Fleet): Promise<void>;
  /**
   * Those who work on the queue without our code. Asked once per recovery interval by the one on duty. Undefined where
   * nobody is watched: then those whom others watch are left as they are.
   */
  guests?(queue: string): Promise<readonly Guest[] | undefined>;
  state(queue: string, id: string): Promise<JobState>;
  /** Makes a delayed job due now. Nothing happens when it is not delayed. */
  promote(queue: string, id: string): Promise<void>;

  // --- people ---
  /** Each compares first and rejects with ERR_ACTION_REFUSED when the job is not in the state that the action needs. */
  retry(queue: string, id: string): Promise<void>;
  discard(queue: string, id: string): Promise<void>;
  /** Puts a buried job back. */
  release(queue: string, id: string): Promise<void>;
  /** Looks for what does not add up in the queue; mends it when `repair` is set and mending is safe. */
  audit(queue: string, options: { readonly repair: boolean; readonly fleet: Fleet }): Promise<readonly Finding[]>;
}

/** Connection in ioredis terms: options or a URL for one server or Sentinel, nodes for a Cluster. */
export type StoreConnection =
  | { readonly kind: "standalone"; readonly url?: string; readonly options: Readonly<Record<string, unknown>> }
  | {
      readonly kind: "cluster";
      readonly nodes: readonly unknown[];
      readonly options: Readonly<Record<string, unknown>>;
    };
