/* Pairs of measurements, A without and B with assurance, in the order A B, B A, A B ...: what drifts on the machine
 * hits both alike. A pair is two neighbours in time, and its ratio is all that is kept of the speed of the machine. */
import { measure } from "./measure.mjs";

/**
 * @typedef {import("./measure.mjs").Load} Load
 * @typedef {{ bare: import("./measure.mjs").Throughput, assured: import("./measure.mjs").Throughput }} Pair
 */

/** A measurement shall last at least as long as was asked for, and the machine may be faster than at calibration. */
const MARGIN = 1.3;
/** Processes start cold: so much of the work is done before the clock starts. */
const WARM_UP = 0.25;
const CALIBRATION = { warmUp: 300, jobs: 700 };

/**
 * @param {string} url
 * @param {Load} load
 * @param {{ runs: number, seconds: number }} plan
 * @returns {Promise<Pair[]>}
 */
export async function measurePairs(url, load, { runs, seconds }) {
  const size = await calibrate(url, load, seconds * 1_000);
  /** @type {Pair[]} */
  const pairs = [];
  for (let n = 0; n < runs; n++) {
    /** @param {boolean} assured */
    const one = (assured) => measure(url, { ...load, ...size, assured });
    if (n % 2 === 0) {
      const bare = await one(false);
      pairs.push({ bare, assured: await one(true) });
    } else {
      const assured = await one(true);
      pairs.push({ bare: await one(false), assured });
    }
  }
  return pairs;
}

/**
 * Warms up the server and the files of both, and finds how many jobs the faster of the two does in `lasts` ms.
 * @param {string} url
 * @param {Load} load
 * @param {number} lasts
 */
async function calibrate(url, load, lasts) {
  const small = await fastest(url, { ...load, ...CALIBRATION });
  const second = sized(small, lasts / 4);
  return sized(await fastest(url, { ...load, ...second }), lasts * MARGIN);
}

/**
 * @param {string} url
 * @param {Load & { warmUp: number, jobs: number }} plan
 */
async function fastest(url, plan) {
  const bare = await measure(url, { ...plan, assured: false });
  const assured = await measure(url, { ...plan, assured: true });
  return Math.max(bare.perSecond, assured.perSecond);
}

/** @param {number} perSecond @param {number} ms */
function sized(perSecond, ms) {
  const jobs = Math.max(CALIBRATION.jobs, Math.ceil((perSecond * ms) / 1_000));
  return { jobs, warmUp: Math.max(CALIBRATION.warmUp, Math.ceil(jobs * WARM_UP)) };
}
