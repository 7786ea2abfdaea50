import type { Script } from "../redis.ts";

/* Takes a phantom off the active list: an id whose job is gone. Nothing else ever would, and it counts for the
 * queue's global concurrency for ever.
 *   KEYS[1] job   KEYS[2] active list   KEYS[3] its lock
 *   ARGV[1] job id. Returns 1 when it was one. */
export const unlist: Script = {
  name: "unlist",
  keys: 3,
  lua: `
    if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
    redis.call('DEL', KEYS[3])
    return redis.call('LREM', KEYS[2], 0, ARGV[1]) > 0 and 1 or 0`,
};
