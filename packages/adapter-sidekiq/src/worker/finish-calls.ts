/* How ends are told to the finish script. Neighbours of one queue and one kind share what they have in common: a busy worker
 * pays for each argument of a script, on its own side and on Redis's. */
import type { Argument } from "../connection.ts";
import type { Keys } from "../keys.ts";

/** ms */
const DAY = 86_400_000;

export type EndKind = "done" | "drop" | "retry" | "dead" | "junk" | "back";

export interface End {
  readonly queue: string;
  readonly proof: string;
  readonly kind: EndKind;
  /** Seconds until the retry. */
  readonly delay?: number | undefined;
  readonly text?: string | undefined;
}

/** What a script is called with. */
export interface Call {
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
}

export interface FinishCallsParts {
  readonly keys: Keys;
  readonly identity: string;
  readonly deadSet: { readonly max: number; readonly timeout: number };
}

export class FinishCalls {
  readonly #parts: FinishCallsParts;
  /** Those of one day. */
  #keys: readonly string[] = [];
  #day: number | undefined;

  constructor(parts: FinishCallsParts) {
    this.#parts = parts;
  }

  of(ends: readonly End[]): Call {
    const { keys, deadSet } = this.#parts;
    const where = [...this.#today()];
    const groups = new Groups([deadSet.max, deadSet.timeout]);
    const queues: string[] = [];
    for (const end of ends) {
      let index = queues.indexOf(end.queue);
      if (index < 0) {
        index = queues.push(end.queue) - 1;
        const { running, given, waiting } = keys.queue(end.queue);
        where.push(running, given, waiting);
      }
      groups.add(index, end);
    }
    return { keys: where, args: groups.args };
  }

  #today(): readonly string[] {
    const day = Math.floor(Date.now() / DAY);
    if (day === this.#day) return this.#keys;
    this.#day = day;
    const { keys, identity } = this.#parts;
    const { retry, dead, processed, failed } = keys;
    const date = new Date(day * DAY).toISOString().slice(0, 10);
    const counts = [processed, failed, `${processed}:${date}`, `${failed}:${date}`];
    return (this.#keys = [retry, dead, ...counts, keys.work(identity), keys.workers(identity)]);
  }
}

class Groups {
  readonly args: Argument[];
  #queue: number | undefined;
  #kind: EndKind | undefined;
  #size = 0;
  /** Where the size of the last group stands. */
  #sizeAt = 0;

  constructor(before: Argument[]) {
    this.args = before;
  }

  add(queue: number, { proof, kind, delay = 0, text = "" }: End): void {
    if (queue !== this.#queue || kind !== this.#kind) this.#begin(queue, kind);
    this.args[this.#sizeAt] = ++this.#size;
    this.args.push(proof);
    if (kind === "retry" || kind === "dead") this.args.push(delay, text);
  }

  #begin(queue: number, kind: EndKind): void {
    this.#queue = queue;
    this.#kind = kind;
    this.#size = 0;
    this.#sizeAt = this.args.push(queue, kind, 0) - 1;
  }
}
