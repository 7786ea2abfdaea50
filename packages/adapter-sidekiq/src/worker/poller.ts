/* Scheduled jobs and retries that are due go to their queues, as Sidekiq's poller does it; but an entry is looked at
 * first and moved by a script that compares, so that none is lost between the two. Ruby's poller may do the same beside us.
 * Client middleware is not run again: a job that is due is moved as it was pushed. */
import { Loop } from "@assured-jobs/core/adapter-kit";
import type { Connection } from "../connection.ts";
import type { Keys } from "../keys.ts";
import { due, raise } from "../scripts/raise.ts";
import { Payload } from "../wire/payload.ts";
import { timestamp } from "../wire/timestamps.ts";
import type { TimestampUnit } from "../wire/timestamps.ts";

export interface PollerParts {
  readonly redis: Connection;
  readonly keys: Keys;
  /** The longest wait between two looks, ms. */
  readonly interval: number;
  readonly unit: TimestampUnit;
  readonly warn: (message: string) => void;
  readonly tell: (error: unknown) => void;
}

const SLICE = 100;
/** Many processes look: not all in the same instant, ms. */
const SPREAD = 50;

export class Poller {
  readonly #parts: PollerParts;
  readonly #loop: Loop;

  constructor(parts: PollerParts) {
    this.#parts = parts;
    this.#loop = new Loop(() => this.#step());
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #step(): Promise<number> {
    const { keys, interval, tell } = this.#parts;
    try {
      const waits = await Promise.all([this.#move(keys.retry), this.#move(keys.schedule)]);
      return Math.min(interval, ...waits) + Math.random() * SPREAD;
    } catch (error) {
      tell(error);
      return interval;
    }
  }

  /* Returns ms until the next one. */
  async #move(set: string): Promise<number> {
    const { redis, keys } = this.#parts;
    const [next, ...entries] = (await redis.runForBytes(due, [set, SLICE])) as [number, ...Buffer[]];
    if (entries.length === 0) return next < 0 ? Number.POSITIVE_INFINITY : next;
    const moves = entries.map((entry) => this.#moveOf(entry));
    const where = [set, keys.queues, keys.dead, ...moves.map(({ queue }) => keys.queue(queue).waiting)];
    const told = moves.flatMap(({ entry, queue, text }) => [entry, queue, text]);
    const moved = (await redis.run(raise, [where.length, ...where, ...told])) as number;
    const unreadable = moves.filter(({ queue }) => queue === "").length;
    if (unreadable > 0) this.#parts.warn(asideFrom(set, unreadable));
    if (moved > 0 && entries.length === SLICE) return 0;
    return next < 0 ? Number.POSITIVE_INFINITY : next;
  }

  /* The entry is compared byte for byte, also where it is no text. One that names no queue is Ruby's default's. */
  #moveOf(entry: Buffer): Move {
    const payload = Payload.parse(entry.toString());
    const named = payload?.get("queue") ?? "default";
    if (payload === undefined || typeof named !== "string" || named === "") return { entry, queue: "", text: "" };
    const isSaid = payload.get("queue") === named;
    const text = payload.with({
      ...(isSaid ? {} : { queue: JSON.stringify(named) }),
      enqueued_at: timestamp(Date.now(), this.#parts.unit),
    });
    return { entry, queue: named, text };
  }
}

interface Move {
  readonly entry: Buffer;
  /** Empty: nobody can read it. */
  readonly queue: string;
  readonly text: string;
}

const asideFrom = (set: string, count: number): string =>
  `${set} held jobs that are due and that nobody can read (${count}). They are in the dead set, as they were.`;
