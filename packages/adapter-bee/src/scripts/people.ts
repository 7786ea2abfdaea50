import type { Script } from "../redis.ts";

/* What a person does to a job. Each compares and acts at once.
 *   KEYS[1..10] owner, active, stalling, waiting, jobs, succeeded, failed, buried, parked, delayed  ARGV[1] id.
 *   Those that act return '' when it was done, else the state that it was refused for. */
const STATE = `
    local id = ARGV[1]
    local function state()
      if redis.call('HEXISTS', KEYS[5], id) == 0 then return 'missing' end
      if redis.call('HEXISTS', KEYS[1], id) == 1 then return 'held' end
      if redis.call('SISMEMBER', KEYS[7], id) == 1 then
        return redis.call('SISMEMBER', KEYS[8], id) == 1 and 'buried' or 'failed' -- Bee's own retry leaves the mark
      end
      if redis.call('SISMEMBER', KEYS[6], id) == 1 then return 'finished' end
      if redis.call('ZSCORE', KEYS[9], id) or redis.call('ZSCORE', KEYS[10], id) then return 'delayed' end
      if redis.call('LPOS', KEYS[2], id) then return 'held' end
      return 'waiting'
    end`;

const KEYS = 10;

/** Returns the state. */
export const state: Script = { name: "state", keys: KEYS, lua: `${STATE}\n    return state()` };

/** ARGV[2] the state that it must be in: buried, or failed in any way. At the back, where Bee's own retry puts it. */
export const putBack: Script = {
  name: "putBack",
  keys: KEYS,
  lua: `${STATE}
    local found = state()
    if found ~= ARGV[2] and not (found == 'buried' and ARGV[2] == 'failed') then return found end
    redis.call('SREM', KEYS[7], id)
    redis.call('SREM', KEYS[8], id)
    redis.call('LPUSH', KEYS[4], id)
    return ''`,
};

export const discard: Script = {
  name: "discard",
  keys: KEYS,
  lua: `${STATE}
    local found = state()
    if found == 'held' or found == 'missing' then return found end
    redis.call('LREM', KEYS[4], 0, id)
    for _, key in ipairs({3, 6, 7, 8}) do redis.call('SREM', KEYS[key], id) end
    for _, key in ipairs({9, 10}) do redis.call('ZREM', KEYS[key], id) end
    redis.call('HDEL', KEYS[5], id)
    return ''`,
};

/** A delayed job is due now; any other stays as it is. */
export const promote: Script = {
  name: "promote",
  keys: KEYS,
  lua: `${STATE}
    if state() ~= 'delayed' then return '' end
    redis.call('ZREM', KEYS[9], id)
    redis.call('ZREM', KEYS[10], id)
    redis.call('RPUSH', KEYS[4], id)
    return ''`,
};
