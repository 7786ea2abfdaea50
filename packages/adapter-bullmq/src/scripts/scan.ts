import type { Script } from "../redis.ts";

/** Jobs per call: well below one millisecond of Redis. */
export const SLICE = 250;

/** What a slice says about each job, in this order. */
export const FIELDS = 5;

/* Reads a slice of the active list, newest first, with what is known about each job. Writes nothing.
 *   KEYS[1] active list   KEYS[2] prefix of the job keys
 *   ARGV[1] first index   ARGV[2] last index
 * Returns the length of the list, then for each job: id, lock ("" when there is none), run, name, priority.
 * The run is "" for a job without a hash. */
export const scan: Script = {
  name: "scan",
  keys: 2,
  lua: `
    local out = { redis.call('LLEN', KEYS[1]) }
    for _, id in ipairs(redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])) do
      local key = KEYS[2] .. id
      local job = redis.call('HMGET', key, 'ats', 'name', 'priority')
      local run = job[1] or '0'
      if not job[1] and not job[2] and redis.call('EXISTS', key) == 0 then run = '' end
      local at = #out
      out[at + 1] = id
      out[at + 2] = redis.call('GET', key .. ':lock') or ''
      out[at + 3] = run
      out[at + 4] = job[2] or ''
      out[at + 5] = job[3] or '0'
    end
    return out`,
};
