/* What we descend from, at the same work: one pass of the Ruby gem sidekiq-assured-jobs over as many orphans, in a Ruby
 * process that runs already. Its records are written here as its middleware leaves them. */
import { rubyAvailable, startRuby } from "@assured-jobs/dev-ruby";

const SET = "sidekiq7";
const NAMESPACE = "sidekiq_assured_jobs";
const SLICE = 1_000;

/** Why it cannot be had here; undefined when it can. */
export const gemMissing = () => rubyAvailable(SET);

/**
 * @param {import("../server.mjs").Server} server
 * @param {number} orphans
 * @returns {Promise<number>} ms of its pass
 */
export async function passOfGem({ url, redis }, orphans) {
  await redis.flushall("SYNC");
  for (let first = 0; first < orphans; first += SLICE) await track(redis, first, Math.min(SLICE, orphans - first));
  const ruby = await startRuby(SET, { redisUrl: url, requires: ["assured-jobs"] });
  try {
    const from = performance.now();
    await ruby.call("assured_jobs_pass");
    const ms = performance.now() - from;
    const waiting = await redis.llen("queue:default");
    if (waiting !== orphans) throw new Error(`of ${orphans} orphans of the gem ${waiting} jobs wait`);
    return ms;
  } finally {
    await ruby.close();
  }
}

/** @param {import("ioredis").Redis} redis @param {number} first @param {number} count */
async function track(redis, first, count) {
  const pipeline = redis.pipeline();
  for (let n = first; n < first + count; n++) {
    const jid = n.toString(16).padStart(24, "0");
    const at = Date.now() / 1_000;
    const job = {
      retry: true,
      queue: "default",
      class: "TrackedSleep",
      args: [],
      jid,
      created_at: at,
      enqueued_at: at,
    };
    pipeline.set(`${NAMESPACE}:job:${jid}`, JSON.stringify(job)).sadd(`${NAMESPACE}:jobs:dead`, jid);
  }
  await pipeline.exec();
}
