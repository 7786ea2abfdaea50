/* The jobs of a storm: most are short, as in life; a few are long, block the event loop, ignore their signal, fail once
 * or for good, come delayed or with a priority, or vanish from the queue once they are done. */
import { chance } from "./seeded.mjs";

/** @typedef {import("./history.d.mts").Plan} Plan */
/** @typedef {{ task: "work" | "stubborn" | "block", from: number, to: number }} Kind */

/** Few are long: nearly every job that is hit twice is, and suspects come back one after the other. */
const SHARES = { none: 50, brief: 28, short: 16, long: 1.5, longest: 0.3, block: 2, freezeLoop: 0.1, stubborn: 0.7 };

/** @type {Record<keyof typeof SHARES, Kind>} */
const KINDS = {
  none: { task: "work", from: 0, to: 0 },
  brief: { task: "work", from: 1, to: 50 },
  short: { task: "work", from: 50, to: 300 },
  long: { task: "work", from: 300, to: 1_000 },
  longest: { task: "work", from: 1_000, to: 3_000 },
  block: { task: "block", from: 5, to: 100 },
  freezeLoop: { task: "block", from: 500, to: 1_500 },
  stubborn: { task: "stubborn", from: 100, to: 1_000 },
};

/** An endless supply of jobs, the same for the same seed. */
export class Jobs {
  #count = 0;
  #chance;

  /** @param {number} seed */
  constructor(seed) {
    this.#chance = chance(seed, "jobs");
  }

  /** @returns {Plan} */
  next() {
    const draw = this.#chance;
    const { task, from, to } = KINDS[draw.oneOf(SHARES)];
    const fails = draw.happens(0.05) ? 1 : 0;
    const dies = draw.happens(0.01);
    const id = `job-${++this.#count}`;
    return {
      id,
      end: dies ? "failed" : "completed",
      fails,
      data: { task, ms: draw.between(from, to), fails, dies },
      options: {
        attempts: fails + 1,
        backoff: draw.happens(0.5) ? draw.between(50, 500) : 0,
        delay: draw.happens(0.05) ? draw.between(50, 2_000) : 0,
        priority: draw.happens(0.1) ? draw.between(1, 10) : 0,
        removeWhenCompleted: draw.happens(0.3),
      },
    };
  }
}
