/* Fetches for one set of queues: as many jobs as there are free slots with one script, which writes their holder too.
 *
 * Two are on their way at a time, each for half of the slots, so that Redis works while handlers run; and what two bring at
 * once begins in two turns of the event loop, or they would stay together for ever and wait for Redis together. When an
 * answer does not come, the holder gets nothing more, by a note in Redis that the fetch script reads, and whatever it was given is
 * given back (holder.ts); so a job may wait, but is never lost.
 */
import { setImmediate as immediate, setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../connection.ts";
import { FetchCalls } from "./fetch-calls.ts";
import type { Fetched, FetchCallsParts, Taken } from "./fetch-calls.ts";
import type { Call } from "./finish-calls.ts";
import type { HolderBook } from "./holder.ts";
import type { LiveRuns } from "./live-runs.ts";
import type { QueueWatch } from "./watch.ts";

/** An idle set looks so often, ms: for parked jobs, and in case a wake-up is lost. */
const LOOK_EVERY = 1_000;
const MOST_AT_ONCE = 200;
/** Fetches on their way: the second one need not wait for the answer of the first. */
const AT_ONCE = 2;
/** All who wait are woken. Who comes too late so often in a row has quick neighbours, and takes its time: up to so many ms. */
const LATE_AT_MOST = 5;
const CALM = 100;
const RETRY = 500;
/** When every job of a fetch had to go back, ms: nothing else is there, or there may be more behind them. */
const REST = 1_000;
const SHORT_REST = 50;
/** Given up by the others: core has so long to say so, ms. */
const GRAVE_PATIENCE = 5_000;

export interface FetcherParts extends FetchCallsParts {
  readonly redis: Pick<Connection, "atTurnsEnd" | "isClosed">;
  readonly concurrency: number;
  readonly watches: ReadonlyMap<string, Pick<QueueWatch, "something">>;
  readonly holders: Pick<HolderBook, "current" | "renew" | "retract" | "hasLeft">;
  /** Sends the fetch script, with the ends of runs that wait to be sent. */
  readonly fetch: (call: Call) => Promise<unknown>;
  /** Hears what is held and begins in a moment: what is held without our knowledge is given back (holder.ts). */
  readonly live: Pick<LiveRuns, "arrived" | "begun">;
  /** Runs a job; calls `freed` when its slot is free again. False for one that has to go back as it came. */
  readonly start: (job: Fetched, freed: () => void) => boolean;
  readonly tell: (error: unknown) => void;
}

export class Fetcher {
  readonly #parts: FetcherParts;
  readonly #calls: FetchCalls;
  #busy = 0;
  #isOpen = false;
  #isScheduled = false;
  readonly #rounds = new Set<Promise<void>>();
  /** Slots that the fetches on the way are for. */
  #asked = 0;
  #isTurnTaken = false;
  /** Nothing is there, or something failed: one round waits, for all slots. */
  #isPausing = false;
  readonly #waiting = new Set<AbortController>();
  #late = 0;
  /** A fetch whose answer did not come, and that was not undone yet. */
  #isLost = false;
  #undoing: Promise<void> | undefined;

  constructor(parts: FetcherParts) {
    this.#parts = parts;
    this.#calls = new FetchCalls(parts);
  }

  open(): void {
    this.#isOpen = true;
    if (this.#isLost) this.#follow(this.#undoLost());
    this.#go();
  }

  /** Resolves when no fetch is on its way: what it still brought runs. Rejects when a lost one cannot be undone now. */
  async close(): Promise<void> {
    this.#isOpen = false;
    for (const waiting of this.#waiting) waiting.abort();
    await Promise.all(this.#rounds);
    if (this.#isLost) await this.#retract();
  }

  /** The same, for one that nobody waits for: a lost fetch is undone as soon as it can be. */
  async quiet(): Promise<void> {
    try {
      await this.close();
    } catch (error) {
      this.#parts.tell(error);
      await this.#rest(RETRY);
      if (!this.#isOpen && !this.#parts.redis.isClosed) await this.quiet();
    }
  }

  #go(): void {
    if (this.#isScheduled || !this.#mayFetch) return;
    this.#isScheduled = true;
    this.#parts.redis.atTurnsEnd(() => {
      this.#isScheduled = false;
      while (this.#mayFetch) this.#begin();
    });
  }

  get #mayFetch(): boolean {
    return this.#isOpen && !this.#isLost && !this.#isPausing && this.#rounds.size < AT_ONCE && this.#free > 0;
  }

  get #free(): number {
    return this.#parts.concurrency - this.#busy - this.#asked;
  }

  #begin(): void {
    const wanted = Math.min(this.#free, Math.ceil(this.#parts.concurrency / AT_ONCE), MOST_AT_ONCE);
    this.#asked += wanted;
    this.#follow(this.#round(wanted));
  }

  #follow(work: Promise<void>): void {
    const round = work.finally(() => {
      this.#rounds.delete(round);
      this.#go();
    });
    this.#rounds.add(round);
  }

  async #round(wanted: number): Promise<void> {
    try {
      const holder = this.#parts.holders.current;
      const taken = await this.#takeInTurn(wanted, holder).finally(() => (this.#asked -= wanted));
      if (taken === undefined) return await this.#pause(() => this.#inGrave(holder));
      const started = taken.jobs.map((job) => this.#start(job));
      this.#parts.live.begun(taken.jobs);
      const isFull = started.length === wanted;
      const isRefused = started.length > 0 && !started.includes(true);
      if (isRefused) return await this.#pause(() => this.#rest(isFull ? SHORT_REST : REST));
      if (isFull) return this.#go();
      await this.#pause(() => this.#untilWoken(taken));
    } catch (error) {
      this.#isLost = true;
      this.#parts.tell(error);
      await this.#undoLost();
    }
  }

  async #pause(wait: () => Promise<void>): Promise<void> {
    if (this.#isPausing) return;
    this.#isPausing = true;
    await wait().finally(() => (this.#isPausing = false));
  }

  /* The next one's turn comes when the short jobs of this one have ended, and their ends have been sent. */
  async #takeInTurn(wanted: number, holder: string): Promise<Taken | undefined> {
    const taken = await this.#take(wanted, holder);
    if (taken !== undefined) this.#parts.live.arrived(taken.jobs);
    while (this.#isTurnTaken) await immediate();
    this.#isTurnTaken = true;
    setImmediate(() => setImmediate(() => (this.#isTurnTaken = false)));
    return taken;
  }

  #start(job: Fetched): boolean {
    this.#busy++;
    let isBusy = true;
    return this.#parts.start(job, () => {
      if (!isBusy) return;
      isBusy = false;
      this.#busy--;
      this.#go();
    });
  }

  /* Undefined when the holder is refused. */
  async #take(wanted: number, holder: string): Promise<Taken | undefined> {
    return this.#calls.taken(await this.#parts.fetch(this.#calls.of(wanted, holder)), holder);
  }

  /* A paused queue is not watched: it would answer at once, again and again. */
  async #untilWoken({ jobs, due, paused }: Taken): Promise<void> {
    const ms = due < 0 ? LOOK_EVERY : Math.min(LOOK_EVERY, due);
    const watches = this.#parts.ordering.names.filter((name) => !paused.has(name));
    const waiting = new AbortController();
    this.#waiting.add(waiting);
    const alarm = sleep(ms, false, { signal: waiting.signal }).catch(() => false);
    const something = watches.map((name) => this.#something(name, alarm));
    try {
      const isWoken = await Promise.race([alarm, ...something]);
      this.#late = isWoken && jobs.length === 0 ? this.#late + 1 : 0;
    } finally {
      waiting.abort();
      this.#waiting.delete(waiting);
    }
    if (this.#late > LATE_AT_MOST) await this.#rest(Math.random() * Math.min(CALM, this.#late));
  }

  /* Where nothing can be watched, it is looked at when the alarm rings. */
  async #something(name: string, alarm: Promise<boolean>): Promise<boolean> {
    try {
      return await this.#parts.watches.get(name)!.something();
    } catch (error) {
      if (this.#isOpen) this.#parts.tell(error); // a worker that stops closes what it waits by
      return alarm;
    }
  }

  async #rest(ms: number): Promise<void> {
    const waiting = new AbortController();
    this.#waiting.add(waiting);
    await sleep(ms, undefined, { signal: waiting.signal }).catch(() => {});
    this.#waiting.delete(waiting);
  }

  /* Another set of this worker lost an answer. Or the others took us for dead; core hears of it in a moment and pauses us.
   * Else nobody did, and another holder will do. */
  async #inGrave(holder: string): Promise<void> {
    if (await this.#parts.holders.hasLeft(holder)) return;
    await this.#rest(GRAVE_PATIENCE);
    if (this.#isOpen) await this.#parts.holders.renew();
  }

  /* Whatever the answer would have brought is given back before anything is fetched again. */
  #undoLost(): Promise<void> {
    this.#undoing ??= this.#undo().finally(() => (this.#undoing = undefined));
    return this.#undoing;
  }

  async #undo(): Promise<void> {
    while (this.#isLost && this.#isOpen) {
      await this.#rest(RETRY);
      if (this.#isOpen) await this.#retract().catch(() => {}); // who closes it asks by himself, and wants to know
    }
  }

  async #retract(): Promise<void> {
    await this.#parts.holders.retract();
    this.#isLost = false;
  }
}
