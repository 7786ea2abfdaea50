/* What it comes to. */

/**
 * @typedef {import("./rounds.mjs").Result} Result
 * @typedef {{ p50: number, max: number }} Spread
 */

/**
 * @param {Result} result
 * @returns {{ kills: number, lost: number, duplicates: number, rerunMs: Spread }}
 */
export function summary({ kills, lost, duplicates }) {
  return { kills: kills.length, lost, duplicates, rerunMs: spread(timesOf(kills)) };
}

/**
 * @param {Result} result
 * @param {Result | undefined} bare
 * @param {import("./queue.d.mts").QueueModule} queue
 * @returns {string[]}
 */
export function verdict(result, bare, queue) {
  const { kills, added, lost, duplicates } = result;
  const times = timesOf(kills);
  return [
    `  jobs added             ${added}`,
    `  jobs lost              ${lost}`,
    `  completed twice        ${duplicates}`,
    `  processes killed       ${kills.length}`,
    `  killed job ran again   after ${times.map(seconds).join(", ") || "-"} s`,
    `${`  ${queue.name} alone`.padEnd(25)}${bare ? measured(bare) : queue.alone}`,
  ];
}

/** @param {Result} bare */
function measured({ kills }) {
  const times = timesOf(kills);
  return times.length > 0 ? `after ${times.map(seconds).join(", ")} s` : "not within 90 s";
}

/** @param {Result["kills"]} kills */
const timesOf = (kills) => kills.map(({ rerunMs }) => rerunMs).filter((ms) => ms !== undefined);

/** @param {number} ms */
const seconds = (ms) => (ms / 1_000).toFixed(2);

/**
 * @param {number[]} times
 * @returns {Spread}
 */
function spread(times) {
  const sorted = times.toSorted((a, b) => a - b);
  return { p50: Math.round(sorted[Math.floor((sorted.length - 1) / 2)] ?? 0), max: Math.round(sorted.at(-1) ?? 0) };
}
