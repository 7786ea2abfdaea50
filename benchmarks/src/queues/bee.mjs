/* Bee-Queue as its users have it: default options, one Queue per process. */
import { beeAdapter } from "@assured-jobs/adapter-bee";
import BeeQueue from "bee-queue";

/** In one call of saveAll: more would keep Redis and the event loop busy for long. */
const BULK = 1_000;

/** @type {import("./contract.d.ts").QueueModule["openQueue"]} */
export function openQueue({ url, name }) {
  const queue = open(url, name, { isWorker: false, getEvents: false });
  queue.on("error", ignore);
  return {
    async add(count) {
      /** @type {string[]} */
      const ids = [];
      while (ids.length < count) {
        const jobs = Array.from({ length: Math.min(BULK, count - ids.length) }, () => queue.createJob({}));
        const errors = await queue.saveAll(jobs);
        if (errors.size > 0) throw [...errors.values()][0];
        ids.push(...jobs.map(({ id }) => id));
      }
      return ids;
    },
    waiting: async () => (await queue.checkHealth()).waiting,
    adapter: () => beeAdapter({ queues: [queue] }),
    close: () => queue.close(),
  };
}

/** @type {import("./contract.d.ts").QueueModule["openWorker"]} */
export function openWorker({ url, name }, { concurrency, handle, completed }) {
  const queue = open(url, name, {});
  queue.on("error", (error) => console.error(error.message));
  if (completed) queue.on("succeeded", (job) => completed(job.id));
  return {
    adapter: () => beeAdapter({ queues: [queue] }),
    start() {
      queue.process(concurrency, (/** @type {BeeQueue.Job<object>} */ job) => handle(job.id));
    },
  };
}

/**
 * @param {string} url
 * @param {string} name
 * @param {BeeQueue.QueueSettings} settings
 */
const open = (url, name, settings) =>
  // Bee's types ask for options or a client; a URL is what redis 3 takes as well.
  new BeeQueue(name, { redis: /** @type {never} */ (url), ...settings });

/* Redis goes away at the end of each benchmark. */
const ignore = () => {};
