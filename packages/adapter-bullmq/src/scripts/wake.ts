import type { Script } from "../redis.ts";

/* Wakes an idle worker that would sleep on for up to drainDelay: for a prioritized job that went back, since BullMQ's
 * own move writes no marker for those, or in the place of one that was woken and does not fetch. A marker too many is
 * harmless: a worker looks once.
 *   KEYS[1] prioritized set   KEYS[2] marker   KEYS[3] meta
 *   ARGV[1] id of the prioritized job; empty: whatever there is. Returns 1 when a marker was written. */
export const wake: Script = {
  name: "wake",
  keys: 3,
  lua: `
    if redis.call('HEXISTS', KEYS[3], 'paused') == 1 then return 0 end
    if ARGV[1] ~= '' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
    redis.call('ZADD', KEYS[2], 0, '0')
    return 1`,
};
