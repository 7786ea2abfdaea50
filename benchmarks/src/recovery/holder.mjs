/* Holds jobs until it is killed: an assured worker with room for all of them, whose handlers never return. It says so
 * once each job is a claim, as it is for every job that runs longer than a second. */
import { setTimeout as sleep } from "node:timers/promises";
import { assure } from "../assure.mjs";
import { loadQueue } from "../queues/index.mjs";
import { task, tell } from "../wire.mjs";

/** @type {{ queue: string, where: import("../queues/contract.d.ts").Where, orphans: number }} */
const { queue, where, orphans } = task();
const { openWorker } = await loadQueue(queue);

const worker = openWorker(where, { concurrency: orphans, handle: () => new Promise(() => {}) });
const assurance = await assure(worker.adapter(), { name: "holder" });
worker.start();
while ((await assurance.snapshot.overview()).claims < orphans) await sleep(100);
tell({ type: "holding" });
