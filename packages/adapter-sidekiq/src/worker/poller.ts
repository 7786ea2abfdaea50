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
  readonly unit: () => TimestampUnit;
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
    const [next, ...entries] = (await redis.run(due, [set, SLICE])) as [number, ...string[]];
    if (entries.length > 0) {
      const moves = entries.map((entry) => this.#moveOf(entry));
      const where = [set, keys.queues, keys.dead, ...moves.map(({ queue }) => keys.queue(queue).waiting)];
      await redis.run(raise, [
        where.length,
        ...where,
        ...moves.flatMap(({ entry, queue, text }) => [entry, queue, text]),
      ]);
    }
    if (entries.length === SLICE) return 0;
    return next < 0 ? Number.POSITIVE_INFINITY : next;
  }

  #moveOf(entry: string): { entry: string; queue: string; text: string } {
    const payload = Payload.parse(entry);
    const queue = payload?.string("queue");
    if (payload === undefined || queue === undefined) return { entry, queue: "", text: "" };
    return { entry, queue, text: payload.with({ enqueued_at: timestamp(Date.now(), this.#parts.unit()) }) };
  }
}
