import type { Script } from "../redis.ts";

/* Gives back what is active and still nobody's; what has no job is only dropped.
 *   KEYS[1] active  KEYS[2] owner  KEYS[3] jobs  KEYS[4] stalling  KEYS[5] waiting
 *   ARGV ids. Returns those that were given back or dropped. */
export const sweep: Script = {
  name: "sweep",
  keys: 5,
  lua: `
    local done = {}
    for _, id in ipairs(ARGV) do
      if redis.call('HEXISTS', KEYS[2], id) == 0 and redis.call('LREM', KEYS[1], 0, id) > 0 then
        redis.call('SREM', KEYS[4], id)
        if redis.call('HEXISTS', KEYS[3], id) == 1 then redis.call('RPUSH', KEYS[5], id) end
        done[#done + 1] = id
      end
    end
    return done`,
};
