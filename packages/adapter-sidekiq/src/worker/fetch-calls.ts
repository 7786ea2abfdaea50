/* What the fetch script is asked, and what it answers. */
import type { Keys } from "../keys.ts";
import { proofOf } from "../proof.ts";
import type { Call } from "./finish-calls.ts";
import type { Draw, QueueOrdering } from "./queue-order.ts";

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
  readonly #keysOf: ReadonlyMap<string, readonly string[]>;
  /** As the queues are named; a strict order never changes. */
  readonly #inOrder: readonly string[];

  constructor(parts: FetchCallsParts) {
    this.#parts = parts;
    const { keys, identity, ordering } = parts;
    this.#keys = [keys.run, keys.graves, keys.paused, keys.work(identity), keys.workers(identity)];
    const ofQueue = (name: string): readonly string[] => {
      const { waiting, running, parked } = keys.queue(name);
      return [waiting, running, parked];
    };
    this.#keysOf = new Map(ordering.names.map((name) => [name, ofQueue(name)]));
    this.#inOrder = this.#keysFor(ordering.names);
  }

  of({ names, first }: Draw, wanted: number, holder: string): Call {
    const { writeWorkers, ordering } = this.#parts;
    const keys = names === ordering.names ? this.#inOrder : this.#keysFor(names);
    return { keys, args: [holder, wanted, writeWorkers() ? 1 : 0, names.length, ...names, ...first] };
  }

  #keysFor(names: readonly string[]): readonly string[] {
    return [...this.#keys, ...names.flatMap((name) => this.#keysOf.get(name)!)];
  }
}

/** Undefined when the holder was refused. */
export function takenBy(reply: unknown, { names }: Draw, holder: string): Taken | undefined {
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
