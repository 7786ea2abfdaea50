/* The least that a worker in Node can do, and lose jobs with: loops that pop, parse and call a handler. */
import { Redis } from "ioredis";
import { task } from "../wire.mjs";

/** Seconds of one wait, as in Sidekiq. */
const WAIT = 2;

/** @type {{ where: import("../queues/contract.d.ts").Where, concurrency: number }} */
const { where, concurrency } = task();

const handle = async (/** @type {unknown} */ _job) => {};

async function loop() {
  const redis = new Redis(where.url); // of its own, because it blocks it
  for (;;) {
    const popped = await redis.brpop(`queue:${where.name}`, WAIT);
    if (popped) await handle(JSON.parse(popped[1]));
  }
}

await Promise.all(Array.from({ length: concurrency }, loop));
