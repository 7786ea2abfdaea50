/* Throughput with assurance, as a share of the throughput without it. */
import { onServer } from "../server.mjs";
import { median, rounded } from "../statistics.mjs";
import { Table } from "../table.mjs";
import { measurePairs } from "./pairs.mjs";

/** @typedef {import("./pairs.mjs").Pair} Pair */

const HEAD = ["parallel", "job ms", "bare/s", "assured/s", "ratio", "min", "max", "CPU us bare", "CPU us assured"];

/**
 * @param {{ queue: string, runs: number, concurrency: number[], "job-ms": number[], seconds: number,
 *   "current-job": boolean }} options
 * @param {import("../table.mjs").Say} say
 */
export function tracking({ queue, runs, concurrency, "job-ms": jobMs, seconds, "current-job": currentJob }, say) {
  return onServer(async ({ url }) => {
    const table = new Table(say, HEAD);
    const rows = [];
    for (const one of concurrency) {
      for (const ms of jobMs) {
        const load = { queue, concurrency: one, jobMs: ms, currentJob };
        const pairs = await measurePairs(url, load, { runs, seconds });
        const ratios = pairs.map(ratioOf);
        const ratio = rounded(median(ratios), 3);
        table.row([one, ms, ...speeds(pairs), ratio, ...spread(ratios), ...cpu(pairs)]);
        rows.push({ queue, concurrency: one, jobMs: ms, ratio, runs });
      }
    }
    return { tracking: rows };
  });
}

/** @param {Pair} pair */
const ratioOf = ({ bare, assured }) => assured.perSecond / bare.perSecond;

/** @param {readonly Pair[]} pairs */
const speeds = (pairs) => [
  Math.round(median(pairs.map(({ bare }) => bare.perSecond))),
  Math.round(median(pairs.map(({ assured }) => assured.perSecond))),
];

/** @param {readonly number[]} ratios */
const spread = (ratios) => [rounded(Math.min(...ratios), 3), rounded(Math.max(...ratios), 3)];

/** Of the worker process, per job. @param {readonly Pair[]} pairs */
const cpu = (pairs) => [
  rounded(median(pairs.map(({ bare }) => bare.cpuPerJobUs)), 1),
  rounded(median(pairs.map(({ assured }) => assured.cpuPerJobUs)), 1),
];
