import type { Script } from "../redis.ts";

/** Score of a buried job in the failed set: a time, ms, that no clock reaches. It also tells it from other failures. */
export const BURIED: number = 2 ** 52;

/* Ranks a buried job above all that will ever fail, so that no removeOnFail of a later job (by age, by count) and no
 * queue.clean() trims it away before a person has looked at it. Its finishedOn stays as it is.
 *   KEYS[1] failed   ARGV[1] job id   ARGV[2] score. Returns 1. */
export const keep: Script = {
  name: "keep",
  keys: 1,
  lua: `
    redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[1])
    return 1`,
};
