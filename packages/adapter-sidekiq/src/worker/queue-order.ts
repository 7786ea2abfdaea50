/* In which order queues are looked through: strictly as given, or by weights, where the fetch script draws for each job
 * among the queues that have one. So the shares are those of Sidekiq, which shuffles by weight and takes the first job it finds. */
import { refusal } from "../refusal.ts";

/** `["critical", "default"]`: strictly in this order. `{ critical: 3, default: 1 }`: three of four looks at critical first. */
export type QueueOrder = readonly string[] | Readonly<Record<string, number>>;

export class QueueOrdering {
  readonly names: readonly string[];
  /** Undefined when the order is strict. */
  readonly weights: Readonly<Record<string, number>> | undefined;

  constructor(order: QueueOrder) {
    this.weights = isList(order) ? undefined : { ...order };
    this.names = isList(order) ? [...new Set(order)] : Object.keys(order);
  }

  /** What the fetch script draws with: a random seed, and the weights of the names. Nothing when the order is strict. */
  lot(): readonly number[] {
    const { weights } = this;
    return weights ? [Math.floor(Math.random() * 2 ** 31), ...this.names.map((name) => weights[name]!)] : [];
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
