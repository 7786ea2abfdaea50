/* One measurement: an empty server, a full queue, and one fresh process that empties it. */
import { Redis } from "ioredis";
import { Child } from "../child.mjs";
import { loadQueue } from "../queues/index.mjs";

/**
 * @typedef {{ queue: string, concurrency: number, jobMs: number, currentJob: boolean }} Load
 * @typedef {{ perSecond: number, cpuPerJobUs: number }} Throughput
 */

/**
 * @param {string} url
 * @param {Load & { assured: boolean, warmUp: number, jobs: number }} plan
 * @returns {Promise<Throughput>}
 */
export async function measure(url, plan) {
  const where = { url, name: "tracking" };
  await refill(where, plan);
  const child = new Child("tracking/worker.mjs", { where, ...plan });
  try {
    const { perSecond, cpuPerJobUs } = await child.next("done");
    return { perSecond: Number(perSecond), cpuPerJobUs: Number(cpuPerJobUs) };
  } finally {
    await child.kill();
  }
}

/**
 * What the measurement before left (completed jobs, events, records) must not slow this one.
 * @param {import("../queues/contract.d.ts").Where} where
 * @param {{ queue: string, warmUp: number, jobs: number }} plan
 */
async function refill(where, { queue, warmUp, jobs }) {
  const redis = new Redis(where.url);
  await redis.flushall("SYNC");
  redis.disconnect();
  const producer = (await loadQueue(queue)).openQueue(where);
  await producer.add(warmUp + jobs);
  await producer.close();
}
