import type { Script } from "../redis.ts";

/* One look at the active list for what no run of ours holds, and Bee's own stall rule for that, instead of Bee's check:
 * an id that stays in the stalled set from one tick to the next has no worker that takes it out (Bee: every
 * stallInterval / 2), and goes back. What a run of ours holds is taken out here: core knows better who has died.
 *   KEYS[1] active  KEYS[2] owner  KEYS[3] jobs  KEYS[4] stalling  KEYS[5] waiting  KEYS[6] stallBlock
 *   ARGV[1] stallInterval, ms, or 0 for a look that changes nothing
 *   Returns [1 when this was a tick, then for each id that nobody holds: id, gone | unclaimed | stalled | back].
 *   gone: it has no job; back: it waits again; stalled: it will at the next tick, when fewer do. */
export const look: Script = {
  name: "look",
  keys: 6,
  lua: `
    local interval = tonumber(ARGV[1])
    local acts = interval > 0
    local tick = acts and redis.call('SET', KEYS[6], 1, 'PX', interval, 'NX') and true or false
    local active = redis.call('LRANGE', KEYS[1], 0, -1)
    local reply = {tick and 1 or 0}
    local moved = 0
    local marks = {}
    for from = 1, #active, 1000 do
      local ids = {unpack(active, from, math.min(from + 999, #active))}
      local held = {}
      for at, owner in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
        local id = ids[at]
        if owner then
          held[#held + 1] = id
        else
          local what = 'unclaimed'
          if redis.call('HEXISTS', KEYS[3], id) == 0 then
            what = 'gone'
          elseif tick and redis.call('SISMEMBER', KEYS[4], id) == 1 then
            what = moved < 250 and 'back' or 'stalled'
          end
          if what == 'back' then
            moved = moved + 1
            redis.call('LREM', KEYS[1], 0, id)
            redis.call('RPUSH', KEYS[5], id)
          elseif what ~= 'gone' then
            marks[#marks + 1] = id
          end
          reply[#reply + 1] = id
          reply[#reply + 1] = what
        end
      end
      if acts and #held > 0 then redis.call('SREM', KEYS[4], unpack(held)) end
    end
    if tick then
      redis.call('DEL', KEYS[4])
      for _, id in ipairs(marks) do redis.call('SADD', KEYS[4], id) end
    end
    return reply`,
};
