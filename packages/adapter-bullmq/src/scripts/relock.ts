import type { Script } from "../redis.ts";

/* Keeps, or puts back, the lock of a run that still goes on; one that lasts longer by itself stays as it is. Refused as
 * soon as the run was given away: then another token holds the lock, the job is not active, or its run number has moved on.
 *   KEYS[1] job   KEYS[2] its lock   KEYS[3] active list   KEYS[4] stalled set
 *   ARGV[1] job id   ARGV[2] token   ARGV[3] run   ARGV[4] lock duration, ms
 * Returns 1 when the lock is the run's, 0 when it was refused. */
export const relock: Script = {
  name: "relock",
  keys: 4,
  lua: `
    local lock = redis.call('GET', KEYS[2])
    if lock and lock ~= ARGV[2] then return 0 end
    if not lock then
      if redis.call('HGET', KEYS[1], 'ats') ~= ARGV[3] then return 0 end
      if not redis.call('LPOS', KEYS[3], ARGV[1]) then return 0 end
    end
    if not lock or redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4]) end
    redis.call('SREM', KEYS[4], ARGV[1])
    return 1`,
};
