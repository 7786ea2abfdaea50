/* Fetches for all slots of one Bee queue.
 *
 * Bee blocks in BRPOPLPUSH, once for each slot: what a frozen process, or a lost reply, takes along is active and
 * nobody's. Here one script takes as many jobs as there are free slots and writes their owner with them; the wait
 * blocks in a BLMOVE that moves the last id onto its own place, so it takes nothing along. A fetch whose reply was lost
 * is undone before the next one; whoever pauses waits until nothing is on its way.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { reasonOf, withinDeadline } from "@assured-jobs/core/adapter-kit";
import { jobClassOf, tellError } from "./native.ts";
import type { NativeClient, NativeJob, NativeQueue } from "./native.ts";
import { send } from "./redis.ts";
import { giveBack, setAside } from "./requeue.ts";
import { fetch } from "./scripts/fetch.ts";
import { retract } from "./scripts/retract.ts";
import type { ServedQueue } from "./served-queue.ts";

/** An idle queue is looked at so often, ms: for jobs that were given back with a delay, and in case a wake-up is lost. */
const LOOK_EVERY = 1_000;
/** Fetches on the way at once: a second one need not wait for the answer of the first. */
const AT_ONCE = 3;
/** All who wait are woken. Who comes too late so often in a row has quick neighbours, and takes its time: up to so many ms. */
const LATE_AT_MOST = 5;
const CALM = 100;
/** After an error, ms. */
const RETRY = 500;
/** The answer to a fetch that is refused. */
const BARRED = -2;
/** No connection delivers what it was given so long ago, ms. */
const BARRED_FOR = 3_600_000;

/** A job and the proof that this process holds it. */
export interface Fetched {
  readonly job: NativeJob;
  readonly proof: string;
}

interface FetcherParts {
  readonly served: ServedQueue;
  readonly holder: () => string;
  /** Takes note of a job before its slot gets it. */
  readonly fetched: (fetched: Fetched) => void;
  readonly warn: (message: string) => void;
}

type Slot = (job: NativeJob | null) => void;

export class Fetcher {
  readonly #queue: NativeQueue;
  readonly #parts: FetcherParts;
  readonly #slots: Slot[] = [];
  readonly #onTheWay = new Set<Promise<void>>();
  /** Fetches whose reply was lost: number -> holder. */
  readonly #lost = new Map<number, string>();
  /** Records that nobody can read, and that could not be set aside yet: id -> proof. */
  readonly #unreadable = new Map<string, string>();
  #number = 0;
  #isOpen = true;
  /** How many slots the fetches on the way are for. */
  #asked = 0;
  /** Nothing is there, or an error was told a moment ago: one waits, for all slots. */
  #isWaiting = false;
  #blocked: Promise<boolean> | undefined;
  /** How often in a row it was woken and came too late. */
  #late = 0;

  constructor(queue: NativeQueue, parts: FetcherParts) {
    this.#queue = queue;
    this.#parts = parts;
  }

  /** The next job for a slot; null when the queue closes. While paused, the slot waits. */
  next(): Promise<NativeJob | null> {
    return new Promise((resolve) => {
      this.#slots.push(resolve);
      this.#go();
    });
  }

  nextNumber(): number {
    return ++this.#number;
  }

  /** Claims what Bee itself fetched, by a number of its own: one that is not answered is undone like a fetch. */
  async claim(ask: (number: number, holder: string) => Promise<unknown>): Promise<unknown> {
    const [number, holder] = [this.nextNumber(), this.#parts.holder()];
    const work = ask(number, holder);
    this.#track(work);
    try {
      return await work;
    } catch (error) {
      this.#lost.set(number, holder);
      throw error;
    }
  }

  open(): void {
    this.#isOpen = true;
    this.#go();
  }

  /** Resolves when nothing is on its way; rejects with ERR_QUEUE_UNREACHABLE when that takes more than five seconds. */
  async close(): Promise<void> {
    this.#isOpen = false;
    await withinDeadline(this.#parts.served.key, Promise.all(this.#onTheWay));
    await this.#makeUp();
  }

  /** The slots that wait, to be served otherwise. */
  dismiss(): readonly Slot[] {
    return this.#slots.splice(0);
  }

  #go(): void {
    const free = this.#slots.length - this.#asked;
    if (free <= 0 || !this.#isOpen || this.#isWaiting || this.#onTheWay.size >= AT_ONCE) return;
    if (this.#queue.paused) for (const slot of this.dismiss()) slot(null);
    else void this.#fetch(free);
  }

  async #fetch(wanted: number): Promise<void> {
    const work = this.#take(wanted);
    this.#track(work);
    this.#asked += wanted;
    try {
      const due = await work.finally(() => (this.#asked -= wanted));
      if (due !== undefined) await this.#wait(() => this.#untilWoken(due));
    } catch (error) {
      await this.#wait(() => this.#failed(error));
    }
    this.#go();
  }

  /* close() of the queue waits for what is on its way, and so does close() here. */
  #track(work: Promise<unknown>): void {
    const end = (): void => {
      this.#onTheWay.delete(quiet);
      this.#queue.activeJobs.delete(quiet);
    };
    const quiet: Promise<void> = work.then(end, end);
    this.#onTheWay.add(quiet);
    this.#queue.activeJobs.add(quiet);
  }

  async #wait(wait: () => Promise<unknown>): Promise<void> {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    await wait().catch((error: unknown) => this.#failed(error));
    this.#isWaiting = false;
  }

  /* Returns ms until a look is due; undefined when there may be more at once. */
  async #take(wanted: number): Promise<number | undefined> {
    if (this.#lost.size + this.#unreadable.size > 0) await this.#makeUp();
    const [due, ...fields] = await this.#ask(wanted, this.nextNumber(), this.#parts.holder());
    if (fields.length > 0) this.#late = 0;
    for (let at = 0; at < fields.length; at += 3) await this.#hand(fields.slice(at, at + 3));
    if (fields.length === 3 * wanted || due === BARRED) return undefined;
    return due < 0 ? LOOK_EVERY : Math.min(LOOK_EVERY, due);
  }

  async #ask(wanted: number, number: number, holder: string): Promise<[number, ...string[]]> {
    const { served } = this.#parts;
    const { waiting, active, jobs, stalling, owner, run, parked } = served.keys;
    const where = [waiting, active, jobs, stalling, owner, run, parked, served.keys.bar(holder)];
    try {
      return (await served.run(fetch, [...where, holder, wanted, number])) as [number, ...string[]];
    } catch (error) {
      this.#lost.set(number, holder);
      throw error;
    }
  }

  async #hand([id = "", json = "", proof = ""]: readonly string[]): Promise<void> {
    const { served, fetched, warn } = this.#parts;
    const slot = this.#isOpen && !this.#queue.paused ? this.#slots.shift() : undefined;
    if (slot === undefined) return giveBack(served, id, proof);
    try {
      const job = jobClassOf(this.#queue).fromData(this.#queue, id, json);
      fetched({ job, proof });
      slot(job);
    } catch (error) {
      this.#slots.unshift(slot);
      this.#unreadable.set(id, proof);
      warn(malformed(served.key, id, error));
      await this.#setAside().catch(() => {}); // before the next fetch, then; what else came with it runs meanwhile
    }
  }

  /* A timer beside it: slots that waited in Bee's own way block the same connection until each has got a job. */
  async #untilWoken(ms: number): Promise<void> {
    const { bclient } = this.#queue;
    const timer = new AbortController();
    if (bclient !== null) this.#blocked ??= this.#block(bclient, ms);
    const alarm = sleep(ms + 50, false, timer);
    const woken = await Promise.race([this.#blocked ?? alarm, alarm]).finally(() => timer.abort());
    this.#late = woken ? this.#late + 1 : 0;
    if (this.#late > LATE_AT_MOST) await sleep(Math.random() * Math.min(CALM, this.#late));
  }

  /* True when there was something; by now somebody else may have it. */
  async #block(bclient: NativeClient, ms: number): Promise<boolean> {
    const { waiting } = this.#parts.served.keys;
    try {
      const seconds = Math.max(0.01, ms / 1_000);
      return (await send(bclient, "blmove", [waiting, waiting, "RIGHT", "RIGHT", seconds])) !== null;
    } finally {
      this.#blocked = undefined;
    }
  }

  /* Rejects when that cannot be done now. */
  async #makeUp(): Promise<void> {
    await this.#retractLost();
    await this.#setAside();
  }

  async #setAside(): Promise<void> {
    for (const [id, proof] of this.#unreadable) {
      await setAside(this.#parts.served, id, proof);
      this.#unreadable.delete(id);
    }
  }

  async #retractLost(): Promise<void> {
    const { served } = this.#parts;
    const { owner, active, waiting } = served.keys;
    for (const [number, holder] of this.#lost) {
      await served.run(retract, [owner, active, waiting, served.keys.bar(holder), holder, number, BARRED_FOR]);
      this.#lost.delete(number);
    }
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#queue.paused || !this.#isOpen) return;
    tellError(this.#queue, error);
    await sleep(RETRY);
  }
}

const malformed = (queue: string, id: string, cause: unknown): string =>
  `Job ${id} of ${queue} cannot be read (${reasonOf(cause)}). It was set aside into the failed set as it is: look at it, and discard it or write it anew.`;
