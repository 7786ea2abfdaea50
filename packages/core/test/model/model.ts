/* The model: what must be true of a fleet, its store and its queue, as plain objects that the steps write down.
 *
 * It knows no keys, scripts, cursors or copies, only facts: who gave a sign of life when, whose subscription is open,
 * which run holds which job. A store is right when everything that it answers follows from these facts.
 */
import type { HeldJob } from "@assured-jobs/core/testing";
import type { Charge, DeathCause, Incarnation, Orphan, Outcome, Registration, Suspect } from "@assured-jobs/core";

export const INTERVAL = 10_000;
export const TTL: number = 6 * INTERVAL;
export const GRACE = 10_000;
/** Longer than all that a run lets pass, but for a long silence. */
export const DUTY_TTL: number = 10 * 3_600_000;
/** Longer than any run lasts, long silences included. */
export const WINDOW: number = 10 * 365 * 24 * 3_600_000;
export const WATCH = "watch";
export const QUEUE = "memory:jobs";
/** A second queue, of which only the suspects matter. */
export const OTHER = "memory:others";
export const DUTIES: readonly string[] = [WATCH, QUEUE];

/** A process, whatever the store thinks of it: a zombie goes on like anybody else. */
export interface Process {
  readonly registration: Registration;
  /** Its subscription is open at this moment. */
  subscribed: boolean;
  /** Registered at least once: nobody fetches before. */
  known: boolean;
  /** It ended for good, and nothing of it is on its way any more. */
  gone: boolean;
  /** Runs that it takes for its own. */
  runs: HeldJob[];
}

/** What the store must know of one that is registered. */
export interface Member {
  /** Observed time of its last sign of life. */
  signAt: number;
  /** How long its loop was stuck at the last beat; `unsaid` when it has registered again since. */
  blockedFor: number | "unsaid";
  leaving: boolean;
  /** The store saw it present, on this very run of the server. */
  seen: boolean;
  /** Seen before, and missed by the watch since: since when (observed time), in how many looks. */
  missed: { since: number; looks: number } | undefined;
}

interface Duty {
  readonly holder: Incarnation;
  /** The store's clock at its last look. */
  readonly lookedAt: number;
}

export interface Job {
  state: "waiting" | "held" | "finished" | "failed" | "buried";
  run: number;
  holder: string;
}

/** One who recovers, with what it read and did; all of that is lost when it dies. */
export interface Recoverer {
  read: readonly Charge[];
  opened: { readonly orphan: Orphan; outcome?: Outcome }[];
}

interface Buried {
  readonly id: string;
  readonly run: number;
}

export interface Model {
  up: boolean;
  /** The store's clock, ms since the beginning. */
  clock: number;
  observed: number;
  /** The store's clock, and that of this process, at the last look of the watch. */
  lastPass: { readonly clock: number; readonly wall: number } | undefined;
  /** Whether the last look of the watch distrusted absence. */
  crowd: boolean;
  deaths: number;
  /** Last `changes` that a look told, and whether the roster changed since. */
  changes: number;
  rosterChanged: boolean | "perhaps";
  readonly processes: Process[];
  /** In the order in which they registered. */
  readonly members: Map<Incarnation, Member>;
  readonly tombstones: Set<Incarnation>;
  readonly dead: Map<Incarnation, { readonly cause: DeathCause; readonly leaving: boolean }>;
  readonly duties: Map<string, Duty>;
  /** What looks told and nobody acted on yet: it may be old. */
  suspicions: Suspect[];
  readonly jobs: Map<string, Job>;
  /** Each (job, run) that left its holder. */
  readonly exits: Set<string>;
  readonly recoverers: readonly Recoverer[];
  /** Open cases by job. */
  readonly cases: Map<string, Orphan>;
  /** Every case that was closed, and so every event of a recovery. */
  readonly settled: Set<string>;
  /** Deaths charged to each job. */
  readonly charged: Map<string, Set<Incarnation>>;
  readonly quarantine: Map<string, Buried>;
  /** Suspects by queue. */
  readonly suspects: Map<string, { out: string | undefined; readonly parked: Set<string> }>;
  /** For each death: the jobs that may have caused it. */
  readonly companies: Map<Incarnation, Set<string>>;
  /** Claims: `<holder> <job>` to the run. */
  readonly claims: Map<string, number>;
  /** Who must stand in the history, once each: the dead, and those who retired while they were registered. */
  died: Incarnation[];
  retired: Incarnation[];
  /** Who retired without being registered: a store may record it, or not. */
  strangers: Incarnation[];
  /** How often something worth reaching was reached. */
  readonly reached: Map<string, number>;
  /** Calls to the store so far; they alternate between its handles. */
  calls: number;
}

export function newModel(reached: Map<string, number>): Model {
  return {
    up: true,
    clock: 0,
    observed: 0,
    lastPass: undefined,
    crowd: false,
    deaths: 0,
    changes: 0,
    rosterChanged: false,
    processes: [],
    members: new Map(),
    tombstones: new Set(),
    dead: new Map(),
    duties: new Map(),
    suspicions: [],
    jobs: new Map(),
    exits: new Set(),
    recoverers: [0, 1].map(() => ({ read: [], opened: [] })),
    cases: new Map(),
    settled: new Set(),
    charged: new Map(),
    quarantine: new Map(),
    suspects: newSuspects(),
    companies: new Map(),
    claims: new Map(),
    died: [],
    retired: [],
    strangers: [],
    reached,
    calls: 0,
  };
}

/** Everything that the store knew is lost; queue and processes are as they were. */
export function forgetAll(model: Model): void {
  Object.assign(model, {
    observed: 0,
    lastPass: undefined,
    crowd: false,
    deaths: 0,
    changes: 0,
    rosterChanged: "perhaps",
    died: [],
    retired: [],
    strangers: [],
  });
  for (const [queue, none] of newSuspects()) model.suspects.set(queue, none);
  for (const records of [model.members, model.tombstones, model.dead, model.duties, model.cases, model.settled])
    records.clear();
  for (const records of [model.charged, model.quarantine, model.companies, model.claims]) records.clear();
}

function newSuspects(): Model["suspects"] {
  return new Map([QUEUE, OTHER].map((queue) => [queue, { out: undefined, parked: new Set() }]));
}

export function note(model: Model, what: string): void {
  model.reached.set(what, (model.reached.get(what) ?? 0) + 1);
}

/** The one that an index means, however many there are. */
export function pick<T>(all: readonly T[], index: number): T | undefined {
  return all.length === 0 ? undefined : all[index % all.length];
}

export function processOf(model: Model, incarnation: Incarnation): Process {
  const found = model.processes.find(({ registration }) => registration.incarnation === incarnation);
  if (!found) throw new Error(`the model knows no ${incarnation}`);
  return found;
}

/** The id under which the queue's record knows a process. */
export function holderOf(incarnation: Incarnation): string {
  return `holder-of-${incarnation}`;
}

export function caseKey({ id, run, holder }: Pick<Orphan, "id" | "run" | "holder">): string {
  return `${id} run ${run} of ${holder}`;
}
