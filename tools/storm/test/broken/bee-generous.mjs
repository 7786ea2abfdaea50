/* Bee with an adapter that gives back what it should not compare: each orphan goes back once more than it came. */
import { Redis } from "ioredis";
import * as bee from "../../src/queues/bee.mjs";

export const { openQueue } = bee;

/** @type {import("../../src/queues/contract.d.mts").QueueModule["openWorker"]} */
export function openWorker(options) {
  const redis = new Redis(options.url);
  const worker = bee.openWorker(options);
  const requeue = worker.adapter.requeue.bind(worker.adapter);
  worker.adapter.requeue = async (orphan, how) => {
    const outcome = await requeue(orphan, how);
    const queue = orphan.queue.slice("bee:".length);
    await redis.hdel(`${queue}:assured:owner`, orphan.id);
    await redis.rpush(`${queue}:waiting`, orphan.id);
    return outcome;
  };
  return worker;
}
