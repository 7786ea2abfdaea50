/* Ours: a SidekiqWorker with its crash-safe fetch, under assurance, all by default. */
import { assure } from "../assure.mjs";
import { loadQueue } from "../queues/index.mjs";
import { task } from "../wire.mjs";

/** @type {{ queue: string, where: import("../queues/contract.d.ts").Where, concurrency: number }} */
const { queue, where, concurrency } = task();
const { openWorker } = await loadQueue(queue);

const worker = openWorker(where, { concurrency, handle: async () => {} });
await assure(worker.adapter());
worker.start();
