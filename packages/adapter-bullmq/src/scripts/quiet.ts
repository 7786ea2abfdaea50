import type { Script } from "../redis.ts";

/* Keeps BullMQ's own stall check quiet while somebody is on duty: it returns early as long as its throttle key is
 * there, and has nothing to act on without the marks of an earlier check. When nobody renews the key any more, the
 * native check is back within its ttl, and its first round only marks.
 *   KEYS[1] throttle key of the native check   KEYS[2] stalled set
 *   ARGV[1] ttl, ms. Returns 1. */
export const quiet: Script = {
  name: "quiet",
  keys: 2,
  lua: `
    redis.call('SET', KEYS[1], 'assured-jobs', 'PX', ARGV[1])
    redis.call('DEL', KEYS[2])
    return 1`,
};
