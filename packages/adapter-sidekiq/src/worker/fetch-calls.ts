/* What the fetch script is asked, and what it answers. */
import type { Keys } from "../keys.ts";
import { proofOf } from "../proof.ts";
import type { Call } from "./finish-calls.ts";
import type { QueueOrdering } from "./queue-order.ts";

const IN_GRAVE = -2;

export interface Fetched {
  readonly queue: string;
  readonly run: number;
  readonly proof: string;
  readonly text: string;
}

export interface Taken {
  readonly jobs: readonly Fetched[];
  readonly due: number;
  readonly paused: ReadonlySet<string>;
}

export interface FetchCallsParts {
  readonly keys: Keys;
  readonly identity: string;
  readonly ordering: QueueOrdering;
  /** Whether Sidekiq's older list of running jobs is written as well. */
  readonly writeWorkers: () => boolean;
}

export class FetchCalls {
  readonly #parts: FetchCallsParts;
  readonly #keys: readonly string[];

  constructor(parts: FetchCallsParts) {
    this.#parts = parts;
    const { keys, identity, ordering } = parts;
    const ofQueues = ordering.names.flatMap((name) => {
      const { waiting, running, parked } = keys.queue(name);
      return [waiting, running, parked];
    });
    const books = [keys.work(identity), keys.workers(identity)];
    this.#keys = [keys.run, keys.graves, keys.paused, ...books, ...ofQueues];
  }

  of(wanted: number, holder: string): Call {
    const { writeWorkers, ordering } = this.#parts;
    const { names } = ordering;
    return {
      keys: this.#keys,
      args: [holder, wanted, writeWorkers() ? 1 : 0, names.length, ...names, ...ordering.lot()],
    };
  }

  /** Undefined when the holder was refused. */
  taken(reply: unknown, holder: string): Taken | undefined {
    const { names } = this.#parts.ordering;
    const [due, paused, ...fields] = reply as [number, string, ...unknown[]];
    if (due === IN_GRAVE) return undefined;
    const jobs: Fetched[] = [];
    for (let at = 0; at < fields.length; at += 3) {
      const queue = names[Number(fields[at])]!;
      const run = Number(fields[at + 1]);
      jobs.push({ queue, run, proof: proofOf(holder, run), text: String(fields[at + 2]) });
    }
    const indexes = paused === "" ? [] : paused.split(" ");
    return { jobs, due, paused: new Set(indexes.map((index) => names[Number(index)]!)) };
  }
}
