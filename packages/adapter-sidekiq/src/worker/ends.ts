/* Sends the ends of runs, those of one turn of the event loop together, and with the fetch for the slots that they free.
 *
 * No answer is no refusal: an end is repeated until it was answered, or its run was given up. The script compares, so one
 * that was carried out is not carried out again, and one that Redis could write only in part leaves a job twice at worst;
 * when the run is not there any more and was not given away either, the first try was heard.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Argument, Connection } from "../connection.ts";
import { fetch } from "../scripts/fetch.ts";
import { finish } from "../scripts/finish.ts";
import { turn } from "../scripts/turn.ts";
import { FinishCalls } from "./finish-calls.ts";
import type { Call, End, FinishCallsParts } from "./finish-calls.ts";

export interface EndsParts extends FinishCallsParts {
  readonly redis: Connection;
  readonly tell: (error: unknown) => void;
}

/** Each or the text of its error. */
type TurnReply = readonly [verdicts: readonly number[] | string, fetched: unknown];

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
  readonly #calls: FinishCalls;
  #waiting: Waiting[] = [];

  constructor(parts: EndsParts) {
    this.#parts = parts;
    this.#calls = new FinishCalls(parts);
  }

  /** False when the job was given away. Rejects when the run was given up before an answer came. */
  send(end: End, isGivenUp: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) this.#parts.redis.lastInTurn(() => this.#flush());
      this.#waiting.push({ end, isGivenUp, resolve, reject });
    });
  }

  /** Sends a fetch at once, and what waits along with it. Resolves to the reply of the fetch. */
  async fetch(call: Call): Promise<unknown> {
    const batch = this.#waiting.splice(0, MOST_AT_ONCE);
    if (batch.length === 0) return this.#parts.redis.run(fetch, withCount(call));
    const [verdicts, fetched] = await this.#inOneTurn(batch, call);
    if (typeof verdicts === "string") this.#failed(batch, new Error(verdicts));
    else settle(batch, verdicts);
    if (typeof fetched === "string") throw new Error(fetched);
    return fetched;
  }

  async #inOneTurn(batch: readonly Waiting[], call: Call): Promise<TurnReply> {
    try {
      return (await this.#parts.redis.run(turn, together(this.#callFor(batch), call))) as TurnReply;
    } catch (error) {
      this.#repeatAll(batch, error);
      throw error;
    }
  }

  #flush(): void {
    while (this.#waiting.length > 0) void this.#together(this.#waiting.splice(0, MOST_AT_ONCE));
  }

  async #together(batch: readonly Waiting[]): Promise<void> {
    try {
      settle(batch, await this.#ask(batch));
    } catch (error) {
      this.#failed(batch, error);
    }
  }

  #failed(batch: readonly Waiting[], error: unknown): void {
    this.#parts.tell(error);
    this.#repeatAll(batch, error);
  }

  #repeatAll(batch: readonly Waiting[], error: unknown): void {
    for (const one of batch) void this.#repeat(one, error);
  }

  /* Each by itself: one that cannot be written must not keep the others. */
  async #repeat(one: Waiting, error: unknown): Promise<void> {
    const { isGivenUp, resolve, reject } = one;
    let last = error;
    for (let wait = FIRST_RETRY; ; wait = Math.min(2 * wait, LAST_RETRY)) {
      await sleep(wait);
      if (isGivenUp() || this.#parts.redis.isClosed) return reject(last);
      try {
        const [verdict] = await this.#ask([one]);
        return resolve(verdict === ACCEPTED || verdict === NOT_THERE);
      } catch (again) {
        last = again;
      }
    }
  }

  async #ask(batch: readonly Waiting[]): Promise<readonly number[]> {
    return (await this.#parts.redis.run(finish, withCount(this.#callFor(batch)))) as number[];
  }

  #callFor(batch: readonly Waiting[]): Call {
    return this.#calls.of(batch.map(({ end }) => end));
  }
}

function settle(batch: readonly Waiting[], verdicts: readonly number[]): void {
  batch.forEach(({ resolve }, at) => resolve(verdicts[at] === ACCEPTED));
}

const withCount = ({ keys, args }: Call): readonly Argument[] => [keys.length, ...keys, ...args];

const together = (ends: Call, fetched: Call): readonly Argument[] => [
  ends.keys.length + fetched.keys.length,
  ...ends.keys,
  ...fetched.keys,
  ends.keys.length,
  ends.args.length,
  ...ends.args,
  ...fetched.args,
];
