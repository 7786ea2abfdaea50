/* A process of a user of the small queue: its worker, and the lines of assurance. */
import { createAssurance, redisStore } from "@assured-jobs/core";
import { Redis } from "ioredis";
import { setTimeout as sleep } from "node:timers/promises";
import { listAdapter } from "../src/adapter.mjs";
import { ListQueue, ListWorker } from "../src/queue.mjs";

const url = process.env.REDIS_URL ?? "";
const queue = new ListQueue(new Redis(url), "demo");
const worker = new ListWorker(queue, async ({ id }) => {
  process.send?.({ type: "started", id });
  await sleep(1_500);
});
const assurance = createAssurance({
  store: redisStore({ url }),
  adapters: [listAdapter(queue, worker)],
  name: process.env.NAME ?? "",
});
await assurance.start();
process.send?.({ type: "ready" });
await worker.start();
