/* The slowest single call by the server's own slow log: the time that it executed, and nobody else was served. It is
 * wall-clock time, so a busy machine that takes the processor away in the middle of a call makes it longer. */

/** Shorter calls are not logged, so that the log costs little. */
const FROM_US = 100;
const LONG_ENOUGH = 100_000;

/** @param {import("ioredis").Redis} redis */
export async function watchCalls(redis) {
  await redis.config("SET", "slowlog-log-slower-than", FROM_US);
  await redis.config("SET", "slowlog-max-len", LONG_ENOUGH);
  await redis.slowlog("RESET");
}

/**
 * Since watchCalls(), ms.
 * @param {import("ioredis").Redis} redis
 * @returns {Promise<{ ms: number, call: string }>}
 */
export async function slowestCall(redis) {
  const entries = /** @type {[number, number, number, string[]][]} */ (await redis.slowlog("GET", LONG_ENOUGH));
  let slowest = { ms: FROM_US / 1_000, call: "none logged" };
  for (const [, , us, words] of entries) {
    if (us / 1_000 > slowest.ms) slowest = { ms: us / 1_000, call: nameOf(words) };
  }
  return slowest;
}

/** Command, script and first key: enough to find it. @param {readonly string[]} words */
const nameOf = (words) => words.slice(0, 4).join(" ").replaceAll(/\s+/g, " ").slice(0, 80);
