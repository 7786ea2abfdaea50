/* Sidekiq in Ruby as it comes, for --compare: it dies with this process, and its jobs tell what becomes of them in lists. */
import { setTimeout as sleep } from "node:timers/promises";
import { startSidekiq } from "@assured-jobs/dev-ruby";
import { Redis } from "ioredis";
import { ready, tell } from "../report.mjs";
import { RUBY_SET } from "./ruby-set.mjs";

const redisUrl = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";
const namespace = process.env.QUEUE_PREFIX ?? "kill-9";
const LISTS = /** @type {const} */ ({ starts: "runs", dones: "completed" });

const ruby = await startSidekiq(RUBY_SET, { redisUrl, namespace, queues: ["emails"], concurrency: 1 });
const redis = new Redis(redisUrl);
redis.on("error", () => {}); // Redis goes away at the end
ready();
await Promise.all([follow("starts"), follow("dones")]);

/** @param {keyof typeof LISTS} list */
async function follow(list) {
  for (let read = 0; ; await sleep(20)) {
    const entries = await redis.lrange(`${namespace}:${list}`, read, -1);
    read += entries.length;
    for (const { jid, pid } of entries.map((entry) => JSON.parse(entry)))
      if (pid === ruby.pid) tell({ type: LISTS[list], id: jid });
  }
}
