/* In which order queues are looked through, as Sidekiq has it: strictly as given, or by weights, where each fetch draws.
 * A fetch takes several jobs at once; with weights each of them is drawn by itself, so the shares are Sidekiq's. */
import { refusal } from "../refusal.ts";

/** `["critical", "default"]`: strictly in this order. `{ critical: 3, default: 1 }`: three of four looks at critical first. */
export type QueueOrder = readonly string[] | Readonly<Record<string, number>>;

export interface Draw {
  /** Queues in the order in which they are looked through. */
  readonly names: readonly string[];
  /** For each job the index of the queue to look at first; empty when the order is strict. */
  readonly first: readonly number[];
}

export class QueueOrdering {
  readonly names: readonly string[];
  /** Undefined when the order is strict. */
  readonly weights: Readonly<Record<string, number>> | undefined;
  readonly #tickets: readonly string[];

  constructor(order: QueueOrder) {
    this.weights = isList(order) ? undefined : { ...order };
    this.names = isList(order) ? [...new Set(order)] : Object.keys(order);
    this.#tickets = this.names.flatMap((name) => Array<string>(this.weights?.[name] ?? 1).fill(name));
  }

  draw(jobs: number): Draw {
    if (this.weights === undefined) return { names: this.names, first: [] };
    const names = shuffled(this.names);
    const first = Array.from({ length: jobs }, () => names.indexOf(this.#ticket()));
    return { names, first };
  }

  #ticket(): string {
    return this.#tickets[Math.floor(Math.random() * this.#tickets.length)]!;
  }
}

/** Throws ERR_OPTION. `option` is for the message. */
export function checkOrder(order: QueueOrder, option: string): QueueOrdering {
  const names: readonly unknown[] = isList(order) ? order : Object.keys(Object(order));
  if (names.length === 0 || !names.every(isName))
    throw refusal(option, "names of queues, at least one, without spaces", order);
  for (const weight of isList(order) ? [] : Object.values(order)) {
    if (!Number.isInteger(weight) || weight < 1 || weight > 1_000)
      throw refusal(option, "weights from 1 to 1000", weight);
  }
  return new QueueOrdering(order);
}

const isName = (name: unknown): boolean => typeof name === "string" && name !== "" && !/[\s\0]/.test(name);

const isList = (order: QueueOrder): order is readonly string[] => Array.isArray(order);

function shuffled<T>(list: readonly T[]): readonly T[] {
  const copy = [...list];
  for (let at = copy.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [copy[at], copy[other]] = [copy[other]!, copy[at]!];
  }
  return copy;
}
