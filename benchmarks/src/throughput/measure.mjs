/* One measurement: an empty server, a full queue, and one fresh process that empties it. All contestants are measured at
 * the queue, since not all of them could be asked: what has left it is done, but for the few jobs that are under way. */
import { setTimeout as sleep } from "node:timers/promises";
import { loadQueue } from "../queues/index.mjs";
import { figure } from "../server.mjs";

/**
 * @typedef {{ perSecond: number, scriptsPerJob: number }} Throughput
 * @typedef {{ at: number, left: number, scripts: number }} Look
 */

const NAME = "throughput";
/** Processes start cold: so much of the work is done before the clock starts. */
const WARM_UP = 0.25;
const LOOK_EVERY = 5;
/** For a process to start, and for the next job to be taken, ms. */
const PATIENCE = 60_000;

/**
 * @param {import("../server.mjs").Server} server
 * @param {import("./contestants.mjs").Contestant} contestant
 * @param {{ queue: string, concurrency: number, jobs: number }} plan
 * @returns {Promise<Throughput>}
 */
export async function measure({ url, redis }, contestant, { queue, concurrency, jobs }) {
  const where = { url, name: NAME };
  await redis.flushall("SYNC");
  const producer = (await loadQueue(queue)).openQueue(where);
  await producer.add(jobs);
  await producer.close();
  const worker = await contestant.begin(where, concurrency);
  try {
    return await untilEmpty(redis, jobs);
  } finally {
    await worker.kill();
    await alone(redis);
  }
}

/**
 * @param {import("ioredis").Redis} redis
 * @param {number} jobs
 * @returns {Promise<Throughput>}
 */
async function untilEmpty(redis, jobs) {
  /** @type {Look | undefined} */
  let first;
  let last = { at: performance.now(), left: jobs, scripts: 0 };
  for (let now = await look(redis); now.left > 0; now = await look(redis)) {
    if (!first && now.left <= jobs * (1 - WARM_UP)) first = now;
    if (now.left < last.left) last = now;
    else if (now.at - last.at > PATIENCE) throw new Error(`${now.left} jobs are left and nobody takes them`);
    await sleep(LOOK_EVERY);
  }
  const failed = (await redis.zcard("retry")) + (await redis.zcard("dead"));
  if (failed > 0) throw new Error(`${failed} jobs failed`);
  if (!first || first === last) throw new Error("too few jobs to measure with");
  const done = first.left - last.left;
  return { perSecond: (done / (last.at - first.at)) * 1_000, scriptsPerJob: (last.scripts - first.scripts) / done };
}

/** @param {import("ioredis").Redis} redis @returns {Promise<Look>} */
async function look(redis) {
  const [left, stats] = await Promise.all([redis.llen(`queue:${NAME}`), redis.info("commandstats")]);
  const calls = [...stats.matchAll(/^cmdstat_(?:eval|evalsha|fcall):calls=(\d+)/gm)].map(([, count]) => Number(count));
  return { at: performance.now(), left, scripts: calls.reduce((sum, count) => sum + count, 0) };
}

/* A popper that Redis has not missed yet would steal the first jobs of the next measurement. */
async function alone(/** @type {import("ioredis").Redis} */ redis) {
  while ((await figure(redis, "connected_clients")) > 1) await sleep(LOOK_EVERY);
}
