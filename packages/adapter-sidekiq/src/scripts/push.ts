import type { Script } from "../connection.ts";

/* Makes a queue known and puts jobs into it, in one step: a job in a queue that nobody knows would never be seen by the
 * Web, nor by workers that ask for all queues. Payloads are opaque here; they go in as they came.
 *   KEYS[1] names of queues (set)  KEYS[2] the queue (list)
 *   ARGV[1] name of the queue  ARGV[2..] payloads, at most 1,000, first one is next
 *   Returns the length of the queue. */
export const push: Script = {
  name: "push",
  keys: 2,
  lua: `
    redis.call('SADD', KEYS[1], ARGV[1])
    return redis.call('LPUSH', KEYS[2], unpack(ARGV, 2))`,
};
