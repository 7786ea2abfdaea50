/* The oracle: it sees every move of every job and every record of the store in the moment in which they change, and
 * knows what no process can know: who lives. It says at once which promise was broken.
 */
import { jobKey } from "../../src/memory/records.ts";
import type { Records } from "../../src/memory/records.ts";
import type { Run } from "../../src/adapter.ts";
import { memoryStore } from "../../src/testing/index.ts";
import type { MemoryJob, MemoryServer } from "../../src/testing/index.ts";
import type { Casebook, Death, Orphan, Settlement, Store } from "../../src/store.ts";
import { Lives } from "./lives.ts";
import type { ObservedQueue } from "./observed-queue.ts";
import { watched } from "./watched.ts";
import type { World } from "./world.ts";

export const NAMESPACE = "sim";

interface Fate {
  readonly queue: ObservedQueue;
  readonly id: string;
  ended: boolean;
  /** Runs that were given away. */
  readonly away: Set<number>;
  /** Dead incarnations that are to be charged. */
  readonly deaths: Set<string>;
  /** From whom the queue's own check took it: a recoverer may have charged that too. */
  readonly stalled: Set<string>;
  /** Those among them whose death was not its first. */
  readonly suspectIn: Set<string>;
}

/** The parts of a store, as plain objects. */
export type NearStore = Pick<Store, "roster" | "casebook" | "ledger" | "open">;

export interface OracleOptions {
  readonly world: World;
  readonly server: MemoryServer;
  readonly maxRecoveries: number;
  /** Why somebody may be taken for dead; undefined: he may not. */
  readonly excuse: (death: Death) => string | undefined;
  /** Deep passes go on, which mend what a recoverer left that died half-way: quarantine records of jobs that ended. */
  readonly audited: boolean;
}

export class Oracle {
  /** Records were lost: what they said cannot be asked for any more. */
  wiped = false;
  readonly lives: Lives;
  readonly #options: OracleOptions;
  readonly #queues: ObservedQueue[] = [];
  readonly #jobs = new Map<string, Fate>();
  readonly #company = new Map<string, readonly string[]>();
  readonly #settled = new Set<string>();
  #records: Records;

  constructor(options: OracleOptions) {
    const { world, server, excuse } = options;
    this.#options = options;
    this.lives = new Lives({ world, server, namespace: NAMESPACE, excuse, died: (death) => this.#declared(death) });
    this.#records = options.server.records(NAMESPACE);
  }

  /* As they were last, while the store is down. */
  get records(): Records {
    try {
      this.#records = this.#options.server.records(NAMESPACE);
    } catch {
      // It is down.
    }
    return this.#records;
  }

  watch(queue: ObservedQueue): void {
    this.#queues.push(queue);
  }

  added(queue: ObservedQueue, id: string): void {
    const [away, deaths, stalled, suspectIn] = [
      new Set<number>(),
      new Set<string>(),
      new Set<string>(),
      new Set<string>(),
    ];
    this.#jobs.set(jobKey(queue.key, id), { queue, id, ended: false, away, deaths, stalled, suspectIn });
  }

  forgotten(): void {
    this.wiped = true;
    this.lives.forget();
  }

  // ------------------------------------------------------------------------------------------ queues

  note(what: string, detail: string): void {
    this.#options.world.note("oracle", what, detail);
  }

  ended(queue: string, { id, run }: MemoryJob): void {
    const fate = this.#fate(queue, id);
    this.note("ended", `job ${id}, run ${run}`);
    if (fate.ended) this.#broken(`the end of job ${id} was accepted twice`);
    if (fate.away.has(run)) this.#broken(`the end of run ${run} of job ${id} was accepted after it was given away`);
    fate.ended = true;
  }

  givenAway({ queue, id, run, holder }: Orphan, how: "requeued" | "buried"): void {
    const fate = this.#fate(queue, id);
    const key = jobKey(queue, id);
    this.#moved(fate, run);
    if (this.wiped) return;
    const { cases, tombstones, dead, budgets } = this.records;
    if (!tombstones.has(holder)) this.#broken(`job ${id} was ${how} although ${holder} was not declared dead`);
    const living = this.#livingHolder(fate);
    if (living) this.#broken(`job ${id} was ${how} although ${living}, who lives, holds it by its record`);
    const open = cases.get(key)?.orphan;
    if (open?.run !== run || open.holder !== holder)
      this.#broken(`job ${id} was ${how} without an open case of run ${run}`);
    if (dead.get(holder)?.leaving === false) {
      fate.deaths.add(holder);
      if (fate.deaths.size > 1) fate.suspectIn.add(holder);
      if (!budgets.get(key)?.has(holder))
        this.#broken(`job ${id} was ${how} before the death of ${holder} was charged`);
    }
    if (how === "buried") this.#buried(fate, holder);
  }

  handedOver({ queue, id, run }: Run): void {
    this.#moved(this.#fate(queue, id), run);
  }

  stalled({ queue, id, run }: Run, holder: string): void {
    const fate = this.#fate(queue, id);
    this.#moved(fate, run);
    fate.stalled.add(holder);
  }

  #moved(fate: Fate, run: number): void {
    this.note("given away", `job ${fate.id}, run ${run}`);
    if (fate.away.has(run)) this.#broken(`run ${run} of job ${fate.id} was given away twice`);
    fate.away.add(run);
  }

  #buried(fate: Fate, holder: string): void {
    const { id, queue } = fate;
    const deaths = new Set([...fate.deaths, ...fate.stalled]);
    if (!this.records.quarantine.get(jobKey(queue.key, id))) this.#broken(`job ${id} was buried before its record`);
    if (deaths.size <= this.#options.maxRecoveries) this.#broken(`job ${id} was buried after ${deaths.size} deaths`);
    const company = (this.#company.get(holder) ?? [])
      .map((key) => this.#jobs.get(key)!)
      .filter((other) => {
        if (other === fate || other.ended) return false;
        const diedBefore = [...other.deaths].some((death) => death !== holder);
        return other.suspectIn.has(holder) || (diedBefore && this.#isHeldBy(other, holder));
      });
    if (company[0]) this.#broken(`job ${id} was buried, but suspect ${company[0].id} died with it in ${holder}`);
  }

  /* The queue keeps the holder of the last run. */
  #livingHolder({ queue, id }: Fate): string | undefined {
    const holder = queue.get(id)?.holder ?? "";
    const members = this.records.members.items();
    return members.find(({ registration }) => registration.holders[queue.key]?.includes(holder))?.registration
      .incarnation;
  }

  #isHeldBy({ queue, id }: Fate, incarnation: string): boolean {
    const { state, holder } = queue.get(id) ?? {};
    const { holders = {} } = this.records.dead.get(incarnation)?.registration ?? {};
    return state === "held" && (holders[queue.key] ?? []).includes(holder!);
  }

  // ------------------------------------------------------------------------------------------- store

  /** The store on the server, under the oracle's eyes. */
  near(): NearStore {
    const store = memoryStore({ server: this.#options.server, namespace: NAMESPACE });
    return {
      roster: this.lives.roster(store.roster),
      casebook: this.#casebook(store.casebook),
      ledger: watched(store.ledger),
      open: () => store.open(),
    };
  }

  #casebook(near: Casebook): Casebook {
    const settle: Casebook["settle"] = async (settlements) => {
      const closed = await near.settle(settlements);
      settlements.forEach((settlement, i) => closed[i] && this.#closed(settlement));
      return closed;
    };
    return watched(near, { settle });
  }

  /** The jobs that an incarnation holds at its end: what it dies of may be one of them. */
  died(incarnation: string, holders: ReadonlySet<string>): void {
    if (this.#company.has(incarnation)) return;
    const held = this.#queues.flatMap((queue) => queue.heldBy(holders).map(({ id }) => jobKey(queue.key, id)));
    this.#company.set(incarnation, held);
  }

  #declared({ registration: { incarnation, holders } }: Death): void {
    this.died(incarnation, new Set(Object.values(holders).flat()));
  }

  #closed({ orphan, outcome }: Settlement): void {
    const key = JSON.stringify([orphan.queue, orphan.id, orphan.run, orphan.holder]);
    if (this.#settled.has(key) && !this.wiped)
      this.#broken(`the case of job ${orphan.id}, run ${orphan.run}, was closed twice`);
    this.#settled.add(key);
    const job = this.#queueOf(orphan.queue).get(orphan.id);
    if (job?.state === "held" && job.run === orphan.run && job.holder !== undefined && job.proof === orphan.proof)
      this.#broken(`the case of job ${orphan.id} was closed as ${outcome} while the dead still held it`);
  }

  /** Whether the store knows who holds under this id; it may never have been told, or have lost it. */
  knows(holder: string): boolean {
    const { members, dead } = this.records;
    const holders = [...members.items(), ...dead.items()].flatMap(({ registration }) =>
      Object.values(registration.holders),
    );
    return holders.flat().includes(holder);
  }

  // --------------------------------------------------------------------------------------------- end

  /** What is not over yet, for whoever waits for it. */
  unfinished(): string[] {
    const jobs = [...this.#jobs.values()].filter(({ queue, id }) => !isOver(queue.get(id)));
    const suspects = [...this.records.suspects].flatMap(([, some]) => [...some.keys()]);
    return [
      ...jobs.map(({ queue, id }) => `job ${id} is ${queue.get(id)?.state ?? "gone"} (${queue.get(id)?.holder})`),
      ...this.records.cases.items().map(({ orphan: { id, run } }) => `the case of job ${id}, run ${run}, is open`),
      ...suspects.map((id) => `job ${id} is still a suspect`),
      ...this.#strays.map((id) => `job ${id} is in quarantine, and not buried`),
    ];
  }

  get #strays(): string[] {
    if (!this.#options.audited) return [];
    const strays = this.records.quarantine
      .items()
      .filter(({ id, queue }) => this.#queueOf(queue).get(id)?.state !== "buried");
    return strays.map(({ id }) => id);
  }

  /** When everything is over: what the records must say now. */
  conclude(): void {
    for (const fate of this.#jobs.values()) this.#concludeJob(fate);
    this.#concludeHistory();
  }

  /* One event for each case. Of a job whose leaving process was taken for dead, both may tell: each says who it is. */
  #concludeHistory(): void {
    const told = new Set<string>();
    for (const { type, job, run, queue, evidence } of this.records.history.page("recoveries", { limit: 10_000 })
      .items) {
      const key = JSON.stringify([queue, job, run, evidence === "handed over by its own process"]);
      if (told.has(key)) this.#broken(`run ${run} of job ${job} has a second event: ${type}`);
      told.add(key);
    }
  }

  #concludeJob({ queue, id, ended, away, deaths }: Fate): void {
    const state = queue.get(id)?.state;
    const key = jobKey(queue.key, id);
    if (state === undefined || ended === (state === "buried")) this.#broken(`job ${id} is lost: ${state}`);
    if (this.wiped) return;
    if (state === "buried" && !this.records.quarantine.get(key)) this.#broken(`job ${id} is buried without a record`);
    const charged = this.records.budgets.get(key)?.size ?? 0;
    if (charged < deaths.size) this.#broken(`job ${id} died ${deaths.size} times, ${charged} were charged`);
    if (away.size + 1 < charged)
      this.#broken(`job ${id} was charged ${charged} deaths, and given away ${away.size} times`);
  }

  #fate(queue: string, id: string): Fate {
    return this.#jobs.get(jobKey(queue, id))!;
  }

  #queueOf(key: string): ObservedQueue {
    return this.#queues.find((queue) => queue.key === key)!;
  }

  #broken(what: string): void {
    this.#options.world.broken(what);
  }
}

const isOver = (job: MemoryJob | undefined): boolean =>
  job !== undefined && (job.state === "finished" || job.state === "failed" || job.state === "buried");
