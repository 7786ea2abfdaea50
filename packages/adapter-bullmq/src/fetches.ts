/* The fetches of one worker that are on their way, with what becomes of them until the job runs or is back.
 *
 * Whoever leaves, or is to be born again, waits here: a fetch whose answer comes when its process has gone would leave
 * a job in the hands of nobody whom the store knows.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { withinDeadline } from "@assured-jobs/core/adapter-kit";

export class Fetches {
  readonly #queue: string;
  readonly #onTheWay = new Set<Promise<unknown>>();

  /** `queue`: its name, for messages. */
  constructor(queue: string) {
    this.#queue = queue;
  }

  track<T>(work: Promise<T>): Promise<T> {
    this.#onTheWay.add(work);
    const end = (): void => void this.#onTheWay.delete(work);
    work.then(end, end);
    return work;
  }

  /** Resolves once nothing is on its way; rejects with ERR_QUEUE_UNREACHABLE when that takes more than five seconds. */
  settled(): Promise<void> {
    return withinDeadline(this.#queue, this.#settle());
  }

  /* What was fetched gets as far as the worker's hook within the same turn of the loop. */
  async #settle(): Promise<void> {
    await nextTurn();
    while (this.#onTheWay.size > 0) {
      await Promise.allSettled(this.#onTheWay);
      await nextTurn();
    }
  }
}
