/* Chance that can be had again: the same seed gives the same storm. Each purpose draws from a source of its own, so
 * that how many numbers one of them needs does not change the others. */
import { createHash } from "node:crypto";

/** @typedef {ReturnType<typeof chance>} Chance */

/**
 * @param {number} seed
 * @param {string} purpose
 */
export function chance(seed, purpose) {
  let state = createHash("sha256").update(`${seed} ${purpose}`).digest().readUInt32LE();
  /* mulberry32: 32 bits of state are plenty for a storm. */
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    /** A whole number, both ends included. */
    between: (/** @type {number} */ least, /** @type {number} */ most) =>
      least + Math.floor(next() * (most - least + 1)),
    happens: (/** @type {number} */ share) => next() < share,
    /**
     * One of the names, by weight.
     * @template {string} Name
     * @param {Readonly<Record<Name, number>>} weights
     * @returns {Name}
     */
    oneOf(weights) {
      const names = /** @type {Name[]} */ (Object.keys(weights));
      let left = next() * names.reduce((sum, name) => sum + weights[name], 0);
      return names.find((name) => (left -= weights[name]) < 0) ?? /** @type {Name} */ (names[0]);
    },
    /**
     * @template T
     * @param {readonly T[]} list
     * @returns {T[]}
     */
    shuffled: (list) =>
      list
        .map((item) => ({ item, key: next() }))
        .toSorted((a, b) => a.key - b.key)
        .map(({ item }) => item),
  };
}
