import type { Script } from "../redis.ts";

/* BullMQ's own rule for a job that nobody answers for: no lock for too long counts as a stall. Counts it as BullMQ
 * does (over the limit the next worker fails it, except iterations of a scheduler) and adopts it for the move.
 *   KEYS[1] job   KEYS[2] its lock   KEYS[3] active list   KEYS[4] repeat set   KEYS[5] events
 *   ARGV[1] job id   ARGV[2] run   ARGV[3] new token   ARGV[4] ttl, ms   ARGV[5] stalls allowed
 * Returns 1 when it was adopted, 0 when somebody has it after all. */
export const stall: Script = {
  name: "stall",
  keys: 5,
  lua: `
    if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
    if (redis.call('HGET', KEYS[1], 'ats') or '0') ~= ARGV[2] then return 0 end
    if not redis.call('LPOS', KEYS[3], ARGV[1]) then return 0 end
    local stalls = redis.call('HINCRBY', KEYS[1], 'stc', 1)
    local scheduler = redis.call('HGET', KEYS[1], 'rjk')
    local recurs = scheduler and (redis.call('EXISTS', KEYS[4] .. ':' .. scheduler) == 1
      or redis.call('ZSCORE', KEYS[4], scheduler))
    if stalls > tonumber(ARGV[5]) and not recurs then
      redis.call('HSET', KEYS[1], 'defa', 'job stalled more than allowable limit')
    end
    redis.call('XADD', KEYS[5], '*', 'event', 'stalled', 'jobId', ARGV[1])
    redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
    return 1`,
};
