/* BullMQ with an adapter that finds no orphans: what its dead held is left to BullMQ's own rule. */
import * as bullmq from "../../src/queues/bullmq.mjs";

export const { openQueue } = bullmq;

/** @type {import("../../src/queues/contract.d.mts").QueueModule["openWorker"]} */
export function openWorker(options) {
  const worker = bullmq.openWorker(options);
  worker.adapter.heldBy = async () => [];
  return worker;
}
