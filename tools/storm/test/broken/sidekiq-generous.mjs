/* Sidekiq with an adapter that gives back what it should not compare: each orphan goes back once more than it came. */
import { Redis } from "ioredis";
import * as sidekiq from "../../src/queues/sidekiq.mjs";

export const { openQueue } = sidekiq;

/** @type {import("../../src/queues/contract.d.mts").QueueModule["openWorker"]} */
export function openWorker(options) {
  const redis = new Redis(options.url);
  const worker = sidekiq.openWorker(options);
  const requeue = worker.adapter.requeue.bind(worker.adapter);
  worker.adapter.requeue = async (orphan, how) => {
    const queue = orphan.queue.slice("sidekiq:".length);
    const text = await redis.hget(`assured:running:${queue}`, orphan.proof);
    const outcome = await requeue(orphan, how);
    if (text !== null) await redis.rpush(`queue:${queue}`, text);
    return outcome;
  };
  return worker;
}
