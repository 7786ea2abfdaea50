/* Fetches for all slots of one Bee queue.
 *
 * Bee blocks in BRPOPLPUSH, once for each slot: what a frozen process, or a lost reply, takes along is active and
 * nobody's. Here one script takes as many jobs as there are free slots and writes their owner with them; the wait
 * blocks in a BLMOVE that moves the last id onto its own place, so it takes nothing along. A fetch whose reply was lost
 * is undone before the next one; whoever pauses waits until nothing is on its way.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { reasonOf, withinDeadline } from "@assured-jobs/core/adapter-kit";
import { jobClassOf } from "./native.ts";
import type { NativeClient, NativeJob, NativeQueue } from "./native.ts";
import { send } from "./redis.ts";
import { giveBack, setAside } from "./requeue.ts";
import { fetch } from "./scripts/fetch.ts";
import { retract } from "./scripts/retract.ts";
import type { ServedQueue } from "./served-queue.ts";

/** An idle queue is looked at so often, ms: for jobs that were given back with a delay, and in case a wake-up is lost. */
const LOOK_EVERY = 1_000;
/** After an error, ms. */
const RETRY = 500;
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
  #number = 0;
  #isOpen = true;
  #looping = false;
  #onTheWay: Promise<void> | undefined;
  /** The holder and number of a fetch whose reply was lost. */
  #lost: readonly [holder: string, number: number] | undefined;
  #waiting: Promise<unknown> | undefined;

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

  open(): void {
    this.#isOpen = true;
    this.#go();
  }

  /** Resolves when nothing is on its way; rejects with ERR_QUEUE_UNREACHABLE when that takes more than five seconds. */
  async close(): Promise<void> {
    this.#isOpen = false;
    if (this.#onTheWay !== undefined) await withinDeadline(this.#parts.served.key, this.#onTheWay);
    if (this.#lost !== undefined) await this.#retract(this.#lost);
  }

  /** The slots that wait, to be served otherwise. */
  dismiss(): readonly Slot[] {
    return this.#slots.splice(0);
  }

  #go(): void {
    if (this.#looping || !this.#isOpen) return;
    this.#looping = true;
    void this.#loop().finally(() => {
      this.#looping = false;
      if (this.#isOpen && this.#slots.length > 0) this.#go();
    });
  }

  async #loop(): Promise<void> {
    while (this.#isOpen && this.#slots.length > 0) {
      if (this.#queue.paused) return this.#dismissAll();
      try {
        if (this.#lost !== undefined) await this.#retract(this.#lost);
        const rest = await this.#track(this.#take(this.#slots.length));
        if (rest !== undefined) await this.#idle(rest);
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  #dismissAll(): void {
    for (const slot of this.dismiss()) slot(null);
  }

  /* close() of the queue waits for what is on its way, and so does close() here. */
  async #track<T>(work: Promise<T>): Promise<T> {
    const quiet = work.then(
      () => {},
      () => {},
    );
    this.#onTheWay = quiet;
    this.#queue.activeJobs.add(quiet);
    try {
      return await work;
    } finally {
      this.#queue.activeJobs.delete(quiet);
      this.#onTheWay = undefined;
    }
  }

  /* Returns ms until a look is due; undefined when there may be more at once. */
  async #take(wanted: number): Promise<number | undefined> {
    const { served, holder } = this.#parts;
    const { keys } = served;
    const [id, number] = [holder(), this.nextNumber()];
    this.#lost = [id, number];
    const where = [
      keys.waiting,
      keys.active,
      keys.jobs,
      keys.stalling,
      keys.owner,
      keys.run,
      keys.parked,
      keys.bar(id),
    ];
    const [due, ...fields] = (await served.run(fetch, [...where, id, wanted, number])) as [number, ...string[]];
    this.#lost = undefined;
    for (let at = 0; at < fields.length; at += 3) await this.#hand(fields.slice(at, at + 3));
    if (fields.length / 3 === wanted || Number(due) === -2) return undefined;
    return Number(due) < 0 ? LOOK_EVERY : Math.min(LOOK_EVERY, Number(due));
  }

  async #hand([id = "", json = "", proof = ""]: readonly string[]): Promise<void> {
    const { served, fetched, warn } = this.#parts;
    const slot = this.#isOpen && !this.#queue.paused ? this.#slots.shift() : undefined;
    if (slot === undefined) return void (await giveBack(served, id, proof));
    try {
      const job = jobClassOf(this.#queue).fromData(this.#queue, id, json);
      fetched({ job, proof });
      slot(job);
    } catch (error) {
      this.#slots.unshift(slot);
      await setAside(served, id, proof);
      warn(malformed(served.key, id, error));
    }
  }

  /* A timer beside it: slots that waited in Bee's own way block the same connection until each has got a job. */
  async #idle(ms: number): Promise<void> {
    const { bclient } = this.#queue;
    if (!this.#isOpen || bclient === null) return void (await sleep(ms));
    this.#waiting ??= this.#block(bclient, ms);
    const timer = new AbortController();
    await Promise.race([this.#waiting, sleep(ms + 50, undefined, timer)]).finally(() => timer.abort());
  }

  async #block(bclient: NativeClient, ms: number): Promise<void> {
    const { waiting } = this.#parts.served.keys;
    try {
      await send(bclient, "blmove", [waiting, waiting, "RIGHT", "RIGHT", Math.max(0.01, ms / 1_000)]);
    } finally {
      this.#waiting = undefined;
    }
  }

  async #retract([holder, number]: readonly [string, number]): Promise<void> {
    const { keys } = this.#parts.served;
    const where = [keys.owner, keys.active, keys.waiting, keys.bar(holder)];
    await this.#parts.served.run(retract, [...where, holder, number, BARRED_FOR]);
    this.#lost = undefined;
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#queue.paused || !this.#isOpen) return;
    this.#queue.emit("error", error);
    await sleep(RETRY);
  }
}

const malformed = (queue: string, id: string, cause: unknown): string =>
  `Job ${id} of ${queue} cannot be read (${reasonOf(cause)}). It was set aside into the failed set as it is: look at it, and discard it or write it anew.`;
