/* What a storm leaves behind, as plain data: everything that the checker judges by. It comes from four witnesses that
 * know nothing of each other: the conductor (what it added and did), the worker processes (their diaries), the queue's
 * own record, and the ledger of the store. Times are wall clock ms of one machine. */

/** A job as it was added. */
export interface Plan {
  readonly id: string;
  /** How it must end, whatever the storm does. */
  readonly end: "completed" | "failed";
  /** How many of its attempts fail on purpose before that. */
  readonly fails: number;
  readonly data: Task;
  readonly options: JobOptions;
}

/** What a handler does with a job. */
export interface Task {
  readonly task: "work" | "stubborn" | "block";
  readonly ms: number;
  readonly fails: number;
  readonly dies: boolean;
}

export interface JobOptions {
  readonly attempts: number;
  /** ms; 0 is at once. */
  readonly backoff: number;
  readonly delay: number;
  readonly priority: number;
  readonly removeWhenCompleted: boolean;
}

/** Which run of which process. */
export interface RunName {
  readonly process: string;
  readonly run: number;
}

/** What the queue's own record says about one job, in the queue's own order. */
export interface Fact {
  readonly job: string;
  readonly at: number;
  /** `returned`: it left the hands of a worker without an end. */
  readonly what: "added" | "active" | "returned" | "completed" | "failed";
  /** Of `active`: the queue's own number of the run, where that is not simply which run of the job it is. */
  readonly run?: number | undefined;
  /** Whose end was accepted. */
  readonly by?: RunName | undefined;
  readonly detail?: string | undefined;
}

/** A line in the diary of a worker process. `accepted`: the queue took the end or the retry, as far as the process knows. */
export interface Note {
  readonly process: string;
  readonly at: number;
  readonly what: "started" | "returned" | "threw" | "gave up" | "accepted";
  readonly job: string;
  readonly run: number;
  /** At the start: how many of its attempts had failed before, and the number that assurance gave to the run. */
  readonly attempt?: number;
  readonly token?: number;
}

/** A line of the ledger about an orphan or an incarnation. */
export interface LedgerLine {
  readonly type: string;
  readonly at: number;
  readonly who: string;
  readonly job?: string | undefined;
  readonly run?: number | undefined;
  /** The incarnation that held the job, where one is named. */
  readonly holder?: string | undefined;
  readonly detail?: string | undefined;
}

export interface Freeze {
  readonly from: number;
  to?: number;
  /** `long`: until the others had declared it dead. */
  readonly kind: "short" | "middle" | "long";
  readonly incarnation: string;
  declared?: boolean;
}

/** One worker process from fork to exit. */
export interface Life {
  /** Unique in the storm, e.g. `w3/17`; `name` may repeat. */
  readonly process: string;
  readonly name: string;
  readonly pid: number;
  readonly launchedAt: number;
  readyAt?: number;
  readonly incarnations: string[];
  readonly fencedAt: number[];
  readonly rebornAt: number[];
  readonly freezes: Freeze[];
  leavingAt?: number;
  killedAt?: number;
  exitedAt?: number;
  exit?: string;
  readonly trouble: string[];
}

/** What is left in queue and store when nobody has anything to do any more. */
export interface Leftovers {
  /** Jobs by state, for every state that is not an end. */
  readonly unfinished: Readonly<Record<string, number>>;
  /** How many jobs the queue keeps as ended. */
  readonly kept: number;
  /** It keeps no job that completed, whatever the job asks for. */
  readonly forgetsCompleted?: boolean;
  /** Marks of ownership that nobody needs now: locks, owners. */
  readonly locks: readonly string[];
  /** Of the store; none when the storm was without assurance. */
  readonly store?: Readonly<Record<"pending" | "claims" | "quarantined" | "suspects", number>>;
  /** Runs that ended just before their process died: the ledger shows them until the dead one is forgotten. */
  readonly claimsOfTheDead?: number;
  /** What audit() found. */
  readonly findings?: readonly string[];
}

export interface History {
  readonly assured: boolean;
  readonly plans: ReadonlyMap<string, Plan>;
  readonly facts: readonly Fact[];
  readonly notes: readonly Note[];
  readonly ledger: readonly LedgerLine[];
  readonly lives: readonly Life[];
  readonly leftovers: Leftovers;
}

/** Something that must not be. */
export interface Violation {
  readonly kind: ViolationKind;
  readonly job?: string;
  readonly detail: string;
}

export type ViolationKind =
  | "lost"
  | "doubled"
  | "requeuedTwice"
  | "ranAfterEnd"
  | "staleEnd"
  | "overlap"
  | "unexplained"
  | "untold"
  | "wrongToken"
  | "falseDeath"
  | "unnoticed"
  | "notReborn"
  | "crashed"
  | "leftover";
