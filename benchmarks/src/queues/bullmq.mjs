/* BullMQ as its users have it: default options, ioredis, one Worker per process. */
import { bullmqAdapter } from "@assured-jobs/adapter-bullmq";
import { Queue, Worker } from "bullmq";

/** In one call of addBulk: more would keep Redis and the event loop busy for long. */
const BULK = 1_000;

/** @type {import("./contract.d.ts").QueueModule["openQueue"]} */
export function openQueue({ url, name }) {
  const queue = new Queue(name, { connection: { url } });
  queue.on("error", ignore);
  return {
    async add(count) {
      /** @type {string[]} */
      const ids = [];
      while (ids.length < count) {
        const jobs = Array.from({ length: Math.min(BULK, count - ids.length) }, () => ({ name: "bench", data: {} }));
        ids.push(...(await queue.addBulk(jobs)).map(({ id }) => String(id)));
      }
      return ids;
    },
    waiting: () => queue.getWaitingCount(),
    adapter: () => bullmqAdapter({ queues: [queue] }),
    close: () => queue.close(),
  };
}

/** @type {import("./contract.d.ts").QueueModule["openWorker"]} */
export function openWorker({ url, name }, { concurrency, handle, completed }) {
  const worker = new Worker(name, (job) => handle(String(job.id)), {
    connection: { url },
    concurrency,
    autorun: false,
  });
  worker.on("error", (error) => console.error(error.message));
  if (completed) worker.on("completed", (job) => completed(String(job.id)));
  return {
    adapter: () => bullmqAdapter({ workers: [worker] }),
    start: () => void worker.run(),
  };
}

/* Redis goes away at the end of each benchmark. */
const ignore = () => {};
