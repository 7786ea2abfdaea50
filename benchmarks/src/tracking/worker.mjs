/* The measured program: one worker that empties a queue. With `assured` it has the lines of assurance, and without them
 * not even their import; else it is the same. The clock starts after the warm-up, with the first instruction of a job,
 * and stops when the queue has accepted the end of the last one. */
import { setTimeout as sleep } from "node:timers/promises";
import { loadQueue } from "../queues/index.mjs";
import { task, tell } from "../wire.mjs";

/**
 * @typedef {{ queue: string, where: import("../queues/contract.d.ts").Where, assured: boolean,
 *   currentJob: boolean, concurrency: number, jobMs: number, warmUp: number, jobs: number }} Task
 */

/** @type {Task} */
const { queue, where, assured, currentJob, concurrency, jobMs, warmUp, jobs } = task();
const { openWorker } = await loadQueue(queue);

let started = 0;
let completed = 0;
let from = 0;
let cpuFrom = process.cpuUsage();

const worker = openWorker(where, {
  concurrency,
  async handle() {
    if (started++ === warmUp) startClock();
    if (jobMs > 0) await sleep(jobMs);
  },
  completed() {
    if (++completed === warmUp + jobs) stopClock();
  },
});

if (assured) {
  const { assure } = await import("../assure.mjs");
  await assure(worker.adapter(), { currentJob });
}
worker.start();

function startClock() {
  cpuFrom = process.cpuUsage();
  from = performance.now();
}

function stopClock() {
  const ms = performance.now() - from;
  const { user, system } = process.cpuUsage(cpuFrom);
  tell({ type: "done", perSecond: (jobs / ms) * 1_000, cpuPerJobUs: (user + system) / jobs });
}
