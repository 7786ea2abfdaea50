/* Bee-Queue, as the storm drives it: several queues, one of which removes what succeeded, since Bee has that per queue. */
import { beeAdapter } from "@assured-jobs/adapter-bee";
import { currentJob } from "@assured-jobs/core";
import BeeQueue from "bee-queue";
import { Redis } from "ioredis";
import { MonitorRecord } from "./record.mjs";

/** @typedef {import("../queues/contract.d.mts").QueueModule} QueueModule */
/** @typedef {import("../history.d.mts").Plan} Plan */

const LANES = /** @type {const} */ ([
  { suffix: "a", removeOnSuccess: false },
  { suffix: "b", removeOnSuccess: false },
  { suffix: "removing", removeOnSuccess: true },
]);

/** Of Bee's own stall check, where it is on: as often as Bee's limit allows, ms. */
const CHECK_EVERY = 250;
const STALL_INTERVAL = 500;

/**
 * @param {{ stallCheck: boolean }} options `stallCheck`: every worker calls checkStalledJobs(interval), as Bee's README advises
 * @returns {QueueModule}
 */
export function beeQueue({ stallCheck }) {
  const rules = stallCheck ? { stallInterval: STALL_INTERVAL } : {};
  return {
    async openQueue({ url, queue, bare }) {
      if (bare) throw new Error("Bee alone keeps no record of who ran what: there is nothing to compare with.");
      const redis = new Redis(url);
      const lanes = LANES.map((lane) => open(url, queue, lane, { ...rules, isWorker: false, getEvents: false }));
      await Promise.all(lanes.map((lane) => lane.ready()));
      const record = new MonitorRecord(
        redis,
        lanes.map((lane) => `bq:${lane.name}:`),
      );
      await record.open();
      return {
        adapter: beeAdapter({ queues: lanes }),
        add: async (plans) => void (await Promise.all(lanes.map((lane, n) => addTo(lane, plans.filter(inLane(n)))))),
        facts: () => record.read(),
        leftovers: () => leftovers(redis, lanes),
        async close() {
          record.close();
          await Promise.all(lanes.map((lane) => lane.close().catch(() => {})));
          redis.disconnect();
        },
      };
    },

    openWorker({ url, queue, concurrency, handle, accepted, trouble }) {
      const settings = { ...rules, getEvents: false, activateDelayedJobs: true, delayedDebounce: 50 };
      const lanes = LANES.map((lane) => open(url, queue, lane, settings));
      /** @type {WeakMap<object, number>} */
      const runs = new WeakMap();
      const handler = (/** @type {BeeQueue.Job<Plan["data"]>} */ job) => {
        const run = currentJob()?.fencingToken ?? 0;
        runs.set(job, run);
        const { data, options } = job;
        const attempt = data.fails - Number(Reflect.get(options, "retries") ?? 0);
        return handle({ job: job.id, run, attempt, task: data });
      };
      for (const lane of lanes) {
        lane.on("succeeded", (job) => accepted(job.id, runs.get(job) ?? 0));
        lane.on("failed", (job) => accepted(job.id, runs.get(job) ?? 0));
        lane.on("error", (error) => trouble(`queue: ${error.message}`));
      }
      return {
        adapter: beeAdapter({ queues: lanes }),
        async start() {
          await Promise.all(lanes.map((lane) => lane.ready()));
          for (const lane of lanes) {
            lane.process(Math.ceil(concurrency / LANES.length), handler);
            if (stallCheck) lane.checkStalledJobs(CHECK_EVERY, () => {});
          }
        },
        close: async () => void (await Promise.all(lanes.map((lane) => lane.close(60_000)))),
      };
    },
  };
}

/** @param {number} lane */
const inLane =
  (lane) =>
  (/** @type {Plan} */ { id, options }) =>
    lane === (options.removeWhenCompleted ? LANES.length - 1 : id.charCodeAt(id.length - 1) % (LANES.length - 1));

/**
 * @param {string} url
 * @param {string} name
 * @param {typeof LANES[number]} lane
 * @param {BeeQueue.QueueSettings} settings
 */
function open(url, name, { suffix, removeOnSuccess }, settings) {
  const redis = /** @type {never} */ (url); // Bee's types ask for options or a client
  const queue = new BeeQueue(`${name}-${suffix}`, { redis, removeOnSuccess, ...settings });
  queue.on("error", () => {});
  return queue;
}

/** @param {BeeQueue} lane @param {readonly Plan[]} plans */
async function addTo(lane, plans) {
  const jobs = plans.map(({ id, data, options }) => {
    const job = lane
      .createJob(data)
      .setId(id)
      .retries(options.attempts - 1);
    if (options.backoff > 0) job.backoff("fixed", options.backoff);
    if (options.delay > 0) job.delayUntil(Date.now() + options.delay);
    return job;
  });
  const errors = await lane.saveAll(jobs);
  for (const error of errors.values()) throw error;
}

/** @param {Redis} redis @param {readonly BeeQueue[]} lanes */
async function leftovers(redis, lanes) {
  const all = await Promise.all(lanes.map((lane) => leftIn(redis, `bq:${lane.name}:`)));
  const sum = (/** @type {(left: Awaited<ReturnType<typeof leftIn>>) => number} */ of) =>
    all.reduce((total, left) => total + of(left), 0);
  return {
    unfinished: {
      waiting: sum(({ waiting }) => waiting),
      active: sum(({ active }) => active),
      delayed: sum(({ delayed }) => delayed),
      parked: sum(({ parked }) => parked),
    },
    kept: sum(({ kept }) => kept),
    locks: all.flatMap(({ owners }) => owners),
  };
}

/** @param {Redis} redis @param {string} prefix */
async function leftIn(redis, prefix) {
  const [waiting, active] = [await redis.llen(`${prefix}waiting`), await redis.llen(`${prefix}active`)];
  const [delayed, parked] = [await redis.zcard(`${prefix}delayed`), await redis.zcard(`${prefix}assured:parked`)];
  const kept = (await redis.scard(`${prefix}succeeded`)) + (await redis.scard(`${prefix}failed`));
  const owners = Object.keys(await redis.hgetall(`${prefix}assured:owner`));
  return { waiting, active, delayed, parked, kept, owners };
}
