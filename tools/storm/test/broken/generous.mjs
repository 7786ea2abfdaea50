/* BullMQ with an adapter that gives back what it should not compare: each orphan goes back once more than it came. */
import { Redis } from "ioredis";
import * as bullmq from "../../src/queues/bullmq.mjs";

export const { openQueue } = bullmq;

/** @type {import("../../src/queues/contract.d.mts").QueueModule["openWorker"]} */
export function openWorker(options) {
  const redis = new Redis(options.url);
  const worker = bullmq.openWorker(options);
  const requeue = worker.adapter.requeue.bind(worker.adapter);
  worker.adapter.requeue = async (orphan, how) => {
    const outcome = await requeue(orphan, how);
    const queue = orphan.queue.slice("bullmq:".length);
    await redis.rpush(`${queue}:wait`, orphan.id);
    await redis.zadd(`${queue}:marker`, 0, "0");
    return outcome;
  };
  return worker;
}
