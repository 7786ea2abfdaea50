/* Jobs per second that do nothing: a SidekiqWorker under assurance beside Sidekiq in Ruby, which loses what a dead process
 * had, and beside the least that a worker in Node could do.
 *
 * In each round all of them take their turn, every other round in reverse, and a ratio is that of two turns of one round:
 * what drifts on the machine hits all alike.
 */
import { onServer } from "../server.mjs";
import { median, rounded } from "../statistics.mjs";
import { Table } from "../table.mjs";
import { brpop, ours, rubies } from "./contestants.mjs";
import { measure } from "./measure.mjs";

/**
 * @typedef {import("./contestants.mjs").Contestant} Contestant
 * @typedef {import("./measure.mjs").Throughput} Throughput
 * @typedef {ReadonlyMap<Contestant, Throughput>} Round
 */

/** A measurement shall last at least as long as was asked for, after its warm-up, and the machine may be faster by then. */
const MARGIN = 1.7;
const CALIBRATION = 3_000;

/**
 * @param {{ queue: string, runs: number, concurrency: number, seconds: number, ruby: boolean }} options
 * @param {import("../table.mjs").Say} say
 */
export function throughput({ queue, runs, concurrency, seconds, ruby }, say) {
  return onServer(async (server) => {
    const { found, missing } = ruby ? await rubies() : { found: [], missing: ["Ruby: not asked for"] };
    for (const reason of missing) say(`Not measured: ${reason}`);
    const rivals = [brpop, ...found];
    const load = { queue, concurrency };
    const rounds = await play(server, [ours, ...rivals], { load, runs, seconds }, say);
    const one = await calibrated(server, ours, { queue, concurrency: 1 }, seconds);
    const alone = await measure(server, ours, { queue, concurrency: 1, jobs: one });
    const scripts = median(rounds.map((round) => of(round, ours).scriptsPerJob));
    say(`Scripts per job: ${rounded(scripts, 2)}; one job at a time: ${rounded(alone.scriptsPerJob, 2)} (budget 2)`);
    return {
      throughput: {
        queue,
        concurrency,
        runs,
        perSecond: speed(rounds, ours),
        rivals: rivals.map((rival) => compare(rounds, rival, say)),
        scriptsPerJob: { busy: rounded(scripts, 2), oneAtATime: rounded(alone.scriptsPerJob, 2) },
        missing,
      },
    };
  });
}

/**
 * @param {import("../server.mjs").Server} server
 * @param {readonly Contestant[]} contestants
 * @param {{ load: { queue: string, concurrency: number }, runs: number, seconds: number }} plan
 * @param {import("../table.mjs").Say} say
 * @returns {Promise<Round[]>}
 */
async function play(server, contestants, { load, runs, seconds }, say) {
  /** @type {Map<Contestant, number>} */
  const jobs = new Map();
  for (const one of contestants) jobs.set(one, await calibrated(server, one, load, seconds));
  const table = new Table(say, ["round", ...contestants.map(({ name }) => `${name}/s`)]);
  const rounds = [];
  for (let n = 1; n <= runs; n++) {
    /** @type {Map<Contestant, Throughput>} */
    const round = new Map();
    for (const one of n % 2 === 1 ? contestants : contestants.toReversed())
      round.set(one, await measure(server, one, { ...load, jobs: jobs.get(one) ?? CALIBRATION }));
    rounds.push(round);
    table.row([n, ...contestants.map((one) => Math.round(of(round, one).perSecond))]);
  }
  return rounds;
}

/**
 * How many jobs last so long. Twice: the first finds how many are needed to tell.
 * @param {import("../server.mjs").Server} server
 * @param {Contestant} contestant
 * @param {{ queue: string, concurrency: number }} load
 * @param {number} seconds
 */
async function calibrated(server, contestant, load, seconds) {
  const cold = await measure(server, contestant, { ...load, jobs: CALIBRATION });
  const jobs = Math.max(CALIBRATION, Math.ceil(cold.perSecond / 2));
  const warm = await measure(server, contestant, { ...load, jobs });
  return Math.max(CALIBRATION, Math.ceil(warm.perSecond * seconds * MARGIN));
}

/**
 * @param {readonly Round[]} rounds
 * @param {Contestant} rival
 * @param {import("../table.mjs").Say} say
 */
function compare(rounds, rival, say) {
  const ratios = rounds.map((round) => of(round, ours).perSecond / of(round, rival).perSecond);
  const [ratio, min, max] = [median(ratios), Math.min(...ratios), Math.max(...ratios)].map((one) => rounded(one, 2));
  const { name, budget } = rival;
  say(`${ours.name} / ${name}: ${ratio} (${min} to ${max}), budget ${budget}`);
  return { name, perSecond: speed(rounds, rival), ratio, min, max, budget };
}

/** @param {readonly Round[]} rounds @param {Contestant} contestant */
const speed = (rounds, contestant) => Math.round(median(rounds.map((round) => of(round, contestant).perSecond)));

/** @param {Round} round @param {Contestant} contestant @returns {Throughput} */
function of(round, contestant) {
  const measured = round.get(contestant);
  if (!measured) throw new Error(`${contestant.name} was not measured`);
  return measured;
}
