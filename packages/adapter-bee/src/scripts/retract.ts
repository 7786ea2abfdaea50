import type { Script } from "../redis.ts";

/* Undoes a fetch whose reply was lost, and refuses it should it still come: it, and those before it.
 *   KEYS[1] owner  KEYS[2] active  KEYS[3] waiting  KEYS[4] bar
 *   ARGV[1] holder  ARGV[2] number of the fetch  ARGV[3] how long it is refused, ms. Returns how many jobs went back. */
export const retract: Script = {
  name: "retract",
  keys: 4,
  lua: `
    local bar = math.max(tonumber(redis.call('GET', KEYS[4]) or '0'), tonumber(ARGV[2]))
    redis.call('SET', KEYS[4], string.format('%.0f', bar), 'PX', ARGV[3])
    local mine = ARGV[1] .. ':' .. ARGV[2] .. ':'
    local owners = redis.call('HGETALL', KEYS[1])
    local back = 0
    for at = 1, #owners, 2 do
      if string.sub(owners[at + 1], 1, #mine) == mine then
        redis.call('HDEL', KEYS[1], owners[at])
        if redis.call('LREM', KEYS[2], 0, owners[at]) > 0 then redis.call('RPUSH', KEYS[3], owners[at]) end
        back = back + 1
      end
    end
    return back`,
};
