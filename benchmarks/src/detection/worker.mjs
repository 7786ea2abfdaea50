/* An assured worker with default settings. Its handler says which job it has, and then works until it is told to end. */
import { assure } from "../assure.mjs";
import { loadQueue } from "../queues/index.mjs";
import { task, tell } from "../wire.mjs";

/** @type {{ queue: string, where: import("../queues/contract.d.ts").Where, name: string }} */
const { queue, where, name } = task();
const { openWorker } = await loadQueue(queue);

const worker = openWorker(where, {
  concurrency: 1,
  async handle(id) {
    tell({ type: "runs", id });
    await new Promise((resolve) => process.once("message", resolve));
  },
  completed: (id) => tell({ type: "completed", id }),
});
await assure(worker.adapter(), { name });
worker.start();
tell({ type: "ready" });
