/* Sends the ends of runs, those of one turn of the event loop together.
 *
 * No answer is no refusal: an end is repeated until it was answered, or its run was given up. The script compares, so one
 * that was carried out is not carried out again, and one that Redis could write only in part leaves a job twice at worst;
 * when the run is not there any more and was not given away either, the first try was heard.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../connection.ts";
import type { Keys } from "../keys.ts";
import { finish } from "../scripts/finish.ts";

export type EndKind = "done" | "drop" | "retry" | "dead" | "junk" | "back";

export interface End {
  readonly queue: string;
  readonly proof: string;
  readonly run: number;
  readonly kind: EndKind;
  /** Seconds until the retry. */
  readonly delay?: number | undefined;
  readonly text?: string | undefined;
}

export interface EndsParts {
  readonly redis: Connection;
  readonly keys: Keys;
  readonly identity: string;
  readonly deadSet: { readonly max: number; readonly timeout: number };
  readonly tell: (error: unknown) => void;
}

interface Waiting {
  readonly end: End;
  readonly isGivenUp: () => boolean;
  readonly resolve: (isAccepted: boolean) => void;
  readonly reject: (error: unknown) => void;
}

const MOST_AT_ONCE = 250;
const FIRST_RETRY = 100;
const LAST_RETRY = 1_000;
const ACCEPTED = 1;
const NOT_THERE = 2;

export class Ends {
  readonly #parts: EndsParts;
  #waiting: Waiting[] = [];

  constructor(parts: EndsParts) {
    this.#parts = parts;
  }

  /** False when the job was given away. Rejects when the run was given up before an answer came. */
  send(end: End, isGivenUp: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) this.#parts.redis.atTurnsEnd(() => this.#flush());
      this.#waiting.push({ end, isGivenUp, resolve, reject });
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let first = 0; first < waiting.length; first += MOST_AT_ONCE)
      void this.#together(waiting.slice(first, first + MOST_AT_ONCE));
  }

  async #together(batch: readonly Waiting[]): Promise<void> {
    try {
      const verdicts = await this.#ask(batch.map(({ end }) => end));
      batch.forEach(({ resolve }, at) => resolve(verdicts[at] === ACCEPTED));
    } catch (error) {
      this.#parts.tell(error);
      for (const one of batch) void this.#repeat(one, error);
    }
  }

  /* Each by itself: one that cannot be written must not keep the others. */
  async #repeat({ end, isGivenUp, resolve, reject }: Waiting, error: unknown): Promise<void> {
    let last = error;
    for (let wait = FIRST_RETRY; ; wait = Math.min(2 * wait, LAST_RETRY)) {
      await sleep(wait);
      if (isGivenUp() || this.#parts.redis.isClosed) return reject(last);
      try {
        const [verdict] = await this.#ask([end]);
        return resolve(verdict === ACCEPTED || verdict === NOT_THERE);
      } catch (again) {
        last = again;
      }
    }
  }

  async #ask(ends: readonly End[]): Promise<readonly number[]> {
    const { redis, keys, identity, deadSet } = this.#parts;
    const day = new Date().toISOString().slice(0, 10);
    const where = [
      keys.retry,
      keys.dead,
      keys.processed,
      keys.failed,
      `${keys.processed}:${day}`,
      `${keys.failed}:${day}`,
      keys.work(identity),
      keys.workers(identity),
    ];
    const queues: string[] = [];
    const told: (string | number)[] = [];
    for (const { queue, proof, run, kind, delay = 0, text = "" } of ends) {
      let index = queues.indexOf(queue);
      if (index < 0) {
        index = queues.push(queue) - 1;
        const { running, given, waiting } = keys.queue(queue);
        where.push(running, given, waiting);
      }
      told.push(index, proof, run, kind, delay, text);
    }
    return (await redis.run(finish, [where.length, ...where, deadSet.max, deadSet.timeout, ...told])) as number[];
  }
}
