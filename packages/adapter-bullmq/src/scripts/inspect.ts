import type { Script } from "../redis.ts";

/* Reads one job. Writes nothing.
 *   KEYS[1] job   KEYS[2] its lock   KEYS[3] failed
 *   ARGV[1] job id
 * Returns lock ("" when there is none), run, name, and the reason when it has failed ("" otherwise). */
export const inspect: Script = {
  name: "inspect",
  keys: 3,
  lua: `
    local job = redis.call('HMGET', KEYS[1], 'ats', 'name', 'failedReason')
    local failed = redis.call('ZSCORE', KEYS[3], ARGV[1])
    return { redis.call('GET', KEYS[2]) or '', job[1] or '0', job[2] or '', failed and job[3] or '' }`,
};
