/* What the server keeps for one namespace. Records only; the rules stand in roster, casebook and ledger.
 *
 * Nothing in here expires by itself: what decides about life is only ever changed by a method of the store.
 */
import type { Incarnation, Registration } from "../instance.ts";
import type { Case, Death, HeldClaim, Orphan, Quarantined, SuspectJob } from "../store.ts";
import { History } from "./history.ts";
import { Shelf } from "./shelf.ts";

/** The last beat. */
export interface Lease {
  readonly observed: number;
  /** The server's clock, for people to read. */
  readonly at: number;
  readonly ttl: number;
  readonly interval: number;
  readonly blockedFor: number;
}

/** Seen present before, and not any more: since when (observed time), and on how many looks. */
interface Absence {
  readonly since: number;
  readonly looks: number;
}

/** A registered incarnation, living or not yet declared dead. */
export interface Member {
  readonly registration: Registration;
  readonly lease: Lease;
  readonly leaving: boolean;
  /** The server run on which its subscription was seen open. */
  readonly seen: string | undefined;
  readonly absence: Absence | undefined;
}

export interface Duty {
  readonly holder: Incarnation;
  /** The server's clock at its holder's last look. */
  readonly lookedAt: number;
  readonly ttl: number;
}

export class Records {
  observed = 0;
  lastPass: number | undefined;
  /** Whether the last pass found absence distrusted. */
  crowd = false;
  deaths = 0;
  /** Registrations, retirements and deaths. */
  changes = 0;
  readonly members: Shelf<Member> = new Shelf();
  readonly dead: Shelf<Death> = new Shelf();
  readonly tombstones: Set<Incarnation> = new Set();
  readonly duties: Map<string, Duty> = new Map();

  /** For each job: the incarnations that died with it, and when. */
  readonly budgets: Map<string, Map<Incarnation, number>> = new Map();
  /** At most one open case for each job. */
  readonly cases: Shelf<Case> = new Shelf();
  /** Cases that were closed, by job, run and holder. */
  readonly settled: Set<string> = new Set();
  /** For each dead incarnation: the suspects that it held, and the queues that were looked through for them. */
  readonly companies: Map<Incarnation, { readonly suspects: Set<string>; readonly surveyed: Set<string> }> = new Map();
  /** For each queue: its suspects in the order in which they came. */
  readonly suspects: Map<string, Map<string, SuspectJob["state"]>> = new Map();

  readonly claims: Shelf<HeldClaim> = new Shelf();
  readonly quarantine: Shelf<Quarantined> = new Shelf();
  readonly history: History = new History();
}

/** The key of a job, and of a claim: any characters in a queue or an id stay apart. */
export function jobKey(queue: string, id: string): string {
  return JSON.stringify([queue, id]);
}

/** The key of one death of a job. */
export function caseKey({ queue, id, run, holder }: Orphan): string {
  return JSON.stringify([queue, id, run, holder]);
}

export function claimKey(holder: Incarnation, queue: string, id: string): string {
  return JSON.stringify([holder, queue, id]);
}
