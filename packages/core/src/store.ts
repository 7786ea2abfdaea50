/* The store contract: what core must know about the fleet, kept where every process can see it.
 *
 * Three small interfaces, one for each question:
 *   Roster    who lives, and by what evidence is somebody dead?     (liveness)
 *   Casebook  which orphan is being recovered, and how often before? (recovery)
 *   Ledger    what shall a person see afterwards?                   (read model, history, quarantine)
 *
 * Rules for an implementer; describeStore() in @assured-jobs/core/testing tests each of them:
 * - Every method is atomic: all of it happened, or none. Every method may be repeated after a lost reply.
 * - Time is the store's own. `observed` time advances only by looks, by at most twice the look interval each:
 *   a store that stood still, jumped, was restarted or unwatched lets nobody lapse.
 * - Nothing that decides about life lapses by itself (no key with a TTL): eviction and clock steps kill nobody.
 * - A method rejects when the store cannot be reached. It never queues a write to be sent later.
 */
import type { Incarnation, Registration } from "./instance.ts";

/** Somewhere to keep the fleet's records. `redisStore()` in production, `memoryStore()` in tests. */
export interface Store {
  /** Keeps the records of one fleet apart from those of another on the same server. */
  readonly namespace: string;
  readonly roster: Roster;
  readonly casebook: Casebook;
  readonly ledger: Ledger;
  /** Connects and checks version, permissions and settings. Rejects with an AssuranceError that says what to do. */
  open(): Promise<StoreReport>;
  /** Idempotent; legal before open(). */
  close(): Promise<void>;
  /** Starts to beat and to be present for `registration`. Resolves at once, connected or not: it goes on trying. */
  pulse(registration: Registration, listener: PulseListener): Promise<Pulse>;
}

/** What open() found out. Warnings are for a person: each says what is wrong and what to do. */
export interface StoreReport {
  readonly server: string;
  readonly warnings: readonly string[];
}

// ---------------------------------------------------------------------------------------------- pulse

/** Keeps one incarnation alive in the store: renews its lease and holds its subscription. */
export interface Pulse {
  /** Where it runs: `main` means that a blocked event loop stops the beats. */
  readonly mode: "thread" | "main";
  /**
   * Settles once the store has the record and has itself seen this incarnation present (or presence cannot be had):
   * from then on a death is noticed at once. Pending for as long as the store cannot be reached.
   */
  readonly ready: Promise<void>;
  /** Newest registration (holders may change while the process runs). Resolves once the store has it. */
  update(registration: Registration): Promise<void>;
  /** Wall-clock time of the last confirmed beat, in ms, or undefined when there was none. */
  readonly lastBeat: number | undefined;
  /** Whether the own subscription is open at this moment. */
  readonly present: boolean;
  /** Stops to beat and closes the subscription. Idempotent. */
  stop(): Promise<void>;
}

export interface PulseListener {
  /** Proof that this incarnation was declared dead: it must never act again. Called once. */
  fenced(): void;
  /** A notice from another instance: there are deaths to look at. */
  nudged(): void;
  /** The path to the store works (told once at the first beat that got through), broke, or came back. */
  connection(up: boolean, reason?: string): void;
  /** The pulse runs with less than it should (no thread, no presence): a sentence for a person. */
  warn(message: string): void;
}

// --------------------------------------------------------------------------------------------- roster

/** One beat: "I live", and how long the event loop of the process has been stuck (0 when it turns). */
export interface Beat {
  readonly incarnation: Incarnation;
  /** Lease from now on, ms of observed time. */
  readonly ttl: number;
  readonly interval: number;
  readonly blockedFor: number;
}

/** `unknown`: no record and no tombstone (the store lost its data): register again. */
export type BeatReply = "alive" | "fenced" | "unknown";

export interface LookRequest {
  readonly by: Incarnation;
  /** Duties wanted: `watch`, and one for each queue key. Those in reach are taken or renewed. */
  readonly duties: readonly string[];
  /** A duty lapses this many ms (of the store's clock) after the last look of its holder. */
  readonly dutyTtl: number;
  /** Look interval in ms; observed time advances by at most twice of it. */
  readonly interval: number;
}

/**
 * Why a suspect is to be declared dead. `replaced`: absent, and a newer incarnation of the same name is registered.
 * `reported`: a guest that is gone from the books of its queue.
 */
export type DeathCause = "lapsed" | "absent" | "replaced" | "left" | "reported";

export interface Suspect {
  readonly incarnation: Incarnation;
  readonly cause: DeathCause;
  /** What was seen; for `reported` only, which is believed as it is. */
  readonly evidence?: string;
}

/** What one look saw. Everybody who holds a duty gets all of it except `suspects`, which only the watch sees. */
export interface Look {
  /** Observed time, ms. */
  readonly observed: number;
  /** Which of the wanted duties are held now by the one who looked. */
  readonly held: readonly string[];
  /** Registered incarnations, living or not yet declared dead. */
  readonly population: number;
  /** Grows with each declared death. */
  readonly deaths: number;
  /** Grows whenever an incarnation registers, retires or is declared dead: a cached roster is stale. */
  readonly changes: number;
  /** Ready to be declared dead. */
  readonly suspects: readonly Suspect[];
  /** Living incarnations that missed a beat, or whose event loop is stuck: their jobs are theirs. */
  readonly late: readonly Incarnation[];
  readonly blocked: readonly Incarnation[];
  /** True when so many vanished together that the path, not the processes, must be broken: the lease decides. */
  readonly distrusted: boolean;
  /** Records that nobody can read (a stranger's, or torn): set aside and kept, so that they stop nothing. */
  readonly malformed: number;
  /** False when the server cannot tell who is present (permission, proxy, cluster below 7): the lease decides. */
  readonly presence: boolean;
}

/** A dead incarnation, with everything that is needed to recover what it held. */
export interface Death {
  readonly registration: Registration;
  readonly cause: DeathCause;
  /** For a person: what was seen, e.g. "absent for 1250 ms of observed time, last beat 4300 ms ago". */
  readonly evidence: string;
  /** Observed time of the declaration, ms. */
  readonly observed: number;
  /** The store's clock at the declaration, ms since 1970. */
  readonly at: number;
  /** It had begun to retire: its jobs are not charged for this death. */
  readonly leaving: boolean;
}

export interface Registered {
  /** There is a tombstone: this incarnation must not live. */
  readonly fenced: boolean;
  /** Other registered incarnations of the same name that are present at this moment. */
  readonly siblings: readonly Incarnation[];
}

export interface Roster {
  /** Writes or renews the record, counts as a beat, and records whether the incarnation is present at this moment. */
  register(registration: Registration): Promise<Registered>;
  beat(beat: Beat): Promise<BeatReply>;
  /** Retirement begins: from now on a death of this incarnation is not charged to its jobs. */
  leave(incarnation: Incarnation): Promise<void>;
  /**
   * Removes the record and leaves a tombstone: nothing of this incarnation can act again. None for one that `mayReturn`
   * under the same name, such as a guest that its queue's books do not list for a while.
   */
  retire(incarnation: Incarnation, mayReturn?: boolean): Promise<void>;
  look(request: LookRequest): Promise<Look>;
  /** Gives the duties up at once, so that nobody has to wait for them to lapse. */
  yieldDuties(by: Incarnation, duties: readonly string[]): Promise<void>;
  /**
   * Re-checks the evidence and declares the death in the same step: tombstone, notice to the fenced one, and the
   * record moves to the dead. Undefined when the evidence no longer holds, or somebody was faster.
   * `left` is declared by an instance about itself, when it leaves and something of it could not be handed over;
   * `reported` by whoever reads the books in which a guest is gone.
   */
  declare(suspect: Suspect): Promise<Death | undefined>;
  /** All dead incarnations that are still listed, oldest first. */
  dead(): Promise<readonly Death[]>;
  /** Drops a dead incarnation from the list; the tombstone stays. */
  forget(incarnation: Incarnation): Promise<void>;
  /** Registered incarnations by page, in a stable order. */
  instances(page: PageRequest): Promise<Page<InstanceRecord>>;
}

export interface InstanceRecord {
  readonly registration: Registration;
  readonly state: "alive" | "late" | "blocked" | "leaving";
  /** The evidence for the state, for a person. */
  readonly evidence: string;
}

// ------------------------------------------------------------------------------------------- casebook

/** A job that a dead incarnation held, by the queue's own record. */
export interface Orphan {
  /** Queue key, e.g. `<adapter>:payments`. */
  readonly queue: string;
  readonly id: string;
  /** Number of the run that died: the queue's own counter, and the fencing token. */
  readonly run: number;
  /** The dead holder. */
  readonly holder: Incarnation;
  /** What the adapter compares in the queue before it moves the job (a lock value, an owner). Opaque to core. */
  readonly proof: string;
  readonly name?: string | undefined;
}

/** An orphan that somebody began to recover. It stays open until it is settled, whoever dies meanwhile. */
export interface Case {
  readonly orphan: Orphan;
  /** Charged deaths of this job inside the window, this one included. */
  readonly deaths: number;
  /** When the first of them happened, and this case was opened: the store's clock, ms. */
  readonly openedAt: number;
}

export interface Charge {
  readonly orphan: Orphan;
  /** False for a holder that was leaving: the case is opened, the budget is not touched. */
  readonly charged: boolean;
}

/** How a case ended. */
export type Outcome = "requeued" | "finished" | "vanished" | "buried";

export interface Settlement {
  readonly orphan: Orphan;
  readonly outcome: Outcome;
  /** Recorded in the history when, and only when, this call closes the case. */
  readonly event: HistoryEvent;
}

/** Who was in flight at one death, as far as its queues have been looked through. */
export interface Company {
  /** How many jobs, of all queues, had died before when they died with it: each may be the reason. */
  readonly suspects: number;
  /** Queues whose jobs are counted in. */
  readonly surveyed: readonly string[];
}

/** A suspect of the crash budget: `out` is the one that may run, `parked` waits for its turn. */
export interface SuspectJob {
  readonly id: string;
  readonly state: "out" | "parked";
}

export interface Casebook {
  /**
   * Opens a case for each orphan and records the death in the job's crash budget: a set of incarnations, so that
   * the same death never counts twice. A job charged for the second time or more joins the company of that death.
   * Repeating it changes nothing, and no case is opened again that was settled in the last minutes: a recoverer that
   * comes late must not cause a second event. `window` in ms. Same order.
   */
  open(charges: readonly Charge[], window: number): Promise<readonly Case[]>;
  /** Cases of a queue that were opened and not settled: what a recoverer left that died half-way. */
  pending(queue: string): Promise<readonly Case[]>;
  /** Closes cases: removes the claim, writes the event. True for each case that this very call closed. */
  settle(settlements: readonly Settlement[]): Promise<readonly boolean[]>;
  /** Charged deaths of a job inside the window. */
  deaths(queue: string, id: string, window: number): Promise<number>;
  /** Forgets the deaths of a job (a person released it). */
  pardon(queue: string, id: string): Promise<void>;
  /** Cases were opened for all that this dead incarnation held in the queue: its company is known as far as that. */
  survey(queue: string, dead: Incarnation): Promise<void>;
  company(dead: Incarnation): Promise<Company>;
  /**
   * Lets a suspect out if no other one of its queue is, nor of the queues `beside` it, whose jobs may share a process
   * with it; otherwise parks it. True when it is out.
   */
  admit(queue: string, id: string, beside: readonly string[]): Promise<boolean>;
  /** No longer a suspect in flight (finished, buried or gone). */
  dismiss(queue: string, id: string): Promise<void>;
  /** Suspects of a queue, longest waiting first. */
  suspects(queue: string): Promise<readonly SuspectJob[]>;
}

// --------------------------------------------------------------------------------------------- ledger

/** Read model of a run: for people and dashboards, never the truth about ownership. */
export interface Claim {
  readonly queue: string;
  readonly id: string;
  readonly run: number;
  readonly name?: string | undefined;
  /** What the adapter would compare, so that a lapsed lock does not hide whose run it was. */
  readonly proof: string;
  /** Wall clock of the process, ms. */
  readonly since: number;
}

export interface HeldClaim extends Claim {
  readonly holder: Incarnation;
}

/** Each in a bounded stream of its own, so that a flood of one kind does not push out another. */
export type HistoryKind = "deaths" | "recoveries" | "actions";

/** One line of history: who, what, when, by what evidence. Values are short; no payloads. */
export interface HistoryEvent {
  readonly type: string;
  readonly who: string;
  readonly queue?: string | undefined;
  readonly job?: string | undefined;
  readonly run?: number | undefined;
  readonly evidence?: string | undefined;
  readonly detail?: string | undefined;
}

export interface RecordedEvent extends HistoryEvent {
  /** Orders the events of one kind; use it as the cursor. */
  readonly id: string;
  /** The store's clock, ms since 1970. */
  readonly at: number;
}

/** A buried job: what a person needs to decide about it. */
export interface Quarantined {
  readonly queue: string;
  readonly id: string;
  readonly name?: string | undefined;
  readonly run: number;
  readonly deaths: number;
  readonly holder: Incarnation;
  readonly reason: string;
  /** The store's clock, ms. Set by the store. */
  readonly at: number;
}

export interface PageRequest {
  /** Where the previous page ended; undefined for the first. */
  readonly cursor?: string | undefined;
  /** At most this many items; 1 to 1000. */
  readonly limit: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Present when there may be more. */
  readonly cursor?: string | undefined;
}

export interface Counts {
  readonly instances: number;
  readonly dead: number;
  readonly claims: number;
  readonly quarantined: number;
  /** Cases opened and not settled. */
  readonly pending: number;
}

export interface Ledger {
  /**
   * Adds and removes claims of an incarnation in one step. Refused (false) for one that is unknown or dead, so that
   * a write that comes late cannot bring back what was forgotten.
   */
  claim(incarnation: Incarnation, change: { add: readonly Claim[]; remove: readonly Claim[] }): Promise<boolean>;
  claimsOf(incarnation: Incarnation): Promise<readonly HeldClaim[]>;
  /** Claims of all incarnations by page. */
  claims(page: PageRequest): Promise<Page<HeldClaim>>;
  record(kind: HistoryKind, event: HistoryEvent): Promise<void>;
  /** Newest first; the cursor is the id of the last event of the previous page. */
  history(kind: HistoryKind, page: PageRequest): Promise<Page<RecordedEvent>>;
  /** Idempotent: the first record of a run wins until it is removed, and that of a later run replaces it. */
  quarantine(job: Omit<Quarantined, "at">): Promise<void>;
  /** With `run`: only the record of this run, so that who comes late takes no later one away. */
  unquarantine(queue: string, id: string, run?: number): Promise<boolean>;
  quarantined(page: PageRequest & { readonly queue?: string | undefined }): Promise<Page<Quarantined>>;
  findQuarantined(queue: string, id: string): Promise<Quarantined | undefined>;
  counts(): Promise<Counts>;
}
