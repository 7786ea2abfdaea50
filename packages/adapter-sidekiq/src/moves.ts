/* Sends the moves of one turn of the event loop together: ten thousand orphans are given back by some hundred scripts.
 * Each move is compared by itself, and whoever sees its batch fail may ask again. */
import type { RequeueOutcome } from "@assured-jobs/core";
import { requeueAll } from "./requeue.ts";
import type { Move, Place } from "./requeue.ts";

/** So that no script holds the server for long, whatever the size of a payload. */
const MOST_AT_ONCE = 50;
const MOST_TEXT = 500_000;

interface Waiting {
  readonly move: Move;
  readonly resolve: (outcome: RequeueOutcome) => void;
  readonly reject: (error: unknown) => void;
}

export class Moves {
  readonly #place: Place;
  #waiting: Waiting[] = [];

  constructor(place: Place) {
    this.#place = place;
  }

  send(move: Move): Promise<RequeueOutcome> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) this.#place.redis.atTurnsEnd(() => this.#flush());
      this.#waiting.push({ move, resolve, reject });
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const batch of batchesOf(waiting)) void this.#together(batch);
  }

  async #together(batch: readonly Waiting[]): Promise<void> {
    try {
      const moves = batch.map(({ move }) => move);
      const outcomes = await requeueAll(this.#place, moves[0]!.queue, moves);
      batch.forEach(({ resolve }, at) => resolve(outcomes[at]!));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}

/* Of one queue each, in their order. */
function batchesOf(waiting: readonly Waiting[]): readonly (readonly Waiting[])[] {
  const batches: Waiting[][] = [];
  let length = 0;
  for (const one of waiting) {
    const last = batches.at(-1);
    const isFull = last !== undefined && (last.length >= MOST_AT_ONCE || length > MOST_TEXT);
    if (last === undefined || isFull || last[0]!.move.queue !== one.move.queue) {
      batches.push([one]);
      length = 0;
    } else last.push(one);
    length += one.move.text.length;
  }
  return batches;
}
