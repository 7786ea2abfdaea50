/* An assured worker with default settings. Its handler says which job it has, and then works until it is told to end. */
import { assure } from "../assure.mjs";
import { setTimeout as sleep } from "node:timers/promises";
import { loadQueue } from "../queues/index.mjs";
import { task, tell } from "../wire.mjs";

/** @type {{ queue: string, where: import("../queues/contract.d.ts").Where, name: string }} */
const { queue, where, name } = task();
/** A job of the backlog takes so long, ms. */
const BACKLOG_MS = 20;
/** The job that is measured; all others are backlog. @type {string | undefined} */
let watched;
process.on("message", (/** @type {{ type: string, id?: string }} */ { type, id }) => {
  if (type === "watch") watched = id;
});

const { openWorker } = await loadQueue(queue);

const worker = openWorker(where, {
  concurrency: 1,
  async handle(id) {
    if (watched !== undefined && id !== watched) {
      await sleep(BACKLOG_MS);
    } else {
      tell({ type: "runs", id });
      await ended();
    }
  },
  completed: (id) => tell({ type: "completed", id }),
});
await assure(worker.adapter(), { name });
worker.start();
tell({ type: "ready" });

/** @returns {Promise<void>} */
function ended() {
  return new Promise((resolve) => {
    const listen = (/** @type {{ type: string }} */ { type }) => {
      if (type !== "end") return;
      process.off("message", listen);
      resolve();
    };
    process.on("message", listen);
  });
}
