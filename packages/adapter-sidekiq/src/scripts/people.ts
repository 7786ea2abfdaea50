import type { Script } from "../connection.ts";

/* Moves an entry of a sorted set to a queue, if it is still there as it was seen.
 *   KEYS[1] from (ZSET)  KEYS[2] waiting  KEYS[3] queues
 *   ARGV[1] entry  ARGV[2] payload  ARGV[3] RPUSH or LPUSH  ARGV[4] name of the queue. Returns 1 or 0. */
export const enqueue: Script = {
  name: "enqueue",
  keys: 3,
  lua: `
    if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
    redis.call('SADD', KEYS[3], ARGV[4])
    redis.call(ARGV[3], KEYS[2], ARGV[2])
    return redis.call('ZREM', KEYS[1], ARGV[1])`,
};
