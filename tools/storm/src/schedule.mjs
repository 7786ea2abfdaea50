/* What happens to the processes, and when: an endless list that the seed decides. */
import { chance } from "./seeded.mjs";

/**
 * @typedef {{ gap: number, pick: number } & (
 *   | { do: "kill", alike: "working" | "any" }
 *   | { do: "freeze", kind: "short" | "middle" | "long", ms: number }
 *   | { do: "leave", how: import("./messages.d.mts").Exit, timeout: number, killAfter: number | undefined }
 *   | { do: "replace", end: "kill" | "leave" })} Step
 */

/** Of a freeze, ms: shorter than two beats; shorter than a lease, but long enough to be late; and, after the others have
 * declared it dead, some more. */
const FREEZES = { short: [50, 600], middle: [1_000, 2_000], long: [0, 2_000] };
const FREEZE_SHARES = { short: 4, middle: 2, long: 4 };

export class Schedule {
  /** @type {Step[]} */
  #next = [];
  #draw;
  #weights;
  #gap;
  #processes;

  /** @param {{ seed: number, kills: number, pauses: number, processes: number, gap: number }} plan */
  constructor({ seed, kills, pauses, processes, gap }) {
    this.#draw = chance(seed, "schedule");
    this.#gap = gap;
    this.#processes = processes;
    // Every sixth kill is one of several at once, so that the weights come out about right.
    this.#weights = { kill: kills * 0.8, many: kills / 20, freeze: pauses, leave: kills / 8, replace: kills / 16 };
  }

  /** @returns {Step} */
  next() {
    if (this.#next.length === 0) this.#next = this.#more();
    return /** @type {Step} */ (this.#next.shift());
  }

  /** @returns {Step[]} */
  #more() {
    const draw = this.#draw;
    const when = () => ({ gap: draw.between(0, 2 * this.#gap), pick: draw.between(0, 1_000_000) });
    const kind = draw.oneOf(this.#weights);
    if (kind === "kill") return [{ ...when(), do: "kill", alike: draw.happens(0.15) ? "any" : "working" }];
    if (kind === "many") return this.#several(draw.happens(0.1) ? this.#processes : draw.between(2, 4), when);
    if (kind === "freeze") {
      const length = draw.oneOf(FREEZE_SHARES);
      const [from = 0, to = 0] = FREEZES[length];
      return [{ ...when(), do: "freeze", kind: length, ms: draw.between(from, to) }];
    }
    if (kind === "replace") return [{ ...when(), do: "replace", end: draw.happens(0.5) ? "kill" : "leave" }];
    const how = draw.oneOf({ stopFirst: 1, closeFirst: 1, signal: 1 });
    const killAfter = draw.happens(0.3) ? draw.between(0, 700) : undefined;
    return [{ ...when(), do: "leave", how, timeout: draw.between(0, 1_500), killAfter }];
  }

  /**
   * @param {number} count
   * @param {() => { gap: number, pick: number }} when
   * @returns {Step[]}
   */
  #several(count, when) {
    return Array.from({ length: count }, (_, n) => ({
      ...when(),
      ...(n > 0 ? { gap: 0 } : {}),
      do: "kill",
      alike: "any",
    }));
  }
}
