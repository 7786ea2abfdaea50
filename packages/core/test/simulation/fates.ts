/* What goes wrong in a schedule, numbered, so that a failing one can be tried again with less of it. */
import type { Random } from "./random.ts";

export class Fates {
  /** In the order in which they struck. */
  readonly struck: number[] = [];
  readonly #random: Random;
  readonly #spared: ReadonlySet<number>;
  #count = 0;
  /** From here on nothing new goes wrong. */
  #over = false;

  constructor(random: Random, spared: ReadonlySet<number>) {
    this.#random = random;
    this.#spared = spared;
  }

  /** Whether a misfortune of this probability happens now. */
  strikes(probability: number): boolean {
    if (this.#over || this.#random() >= probability) return false;
    const number = this.#count++;
    if (this.#spared.has(number)) return false;
    this.struck.push(number);
    return true;
  }

  end(): void {
    this.#over = true;
  }
}
