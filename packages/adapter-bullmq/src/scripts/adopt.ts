import type { Script } from "../redis.ts";

/* Puts a lock of ours on an orphan whose own lock lapsed, so that BullMQ's fenced moves work on it again. The native
 * stall check skips a job with a lock, and a fetch overwrites the lock and so refuses our move: nobody acts twice.
 * The lock of another recoverer is taken over, since that one may have died in between; its move is then refused.
 *   KEYS[1] job   KEYS[2] its lock   KEYS[3] active list   KEYS[4] completed   KEYS[5] failed
 *   ARGV[1] job id   ARGV[2] run that died   ARGV[3] new token   ARGV[4] ttl, ms   ARGV[5] prefix of recoverers' tokens
 * Returns "adopted", or what has become of the job: "vanished", "finished", "already". */
export const adopt: Script = {
  name: "adopt",
  keys: 5,
  lua: `
    if redis.call('EXISTS', KEYS[1]) == 0 then return 'vanished' end
    if redis.call('ZSCORE', KEYS[4], ARGV[1]) or redis.call('ZSCORE', KEYS[5], ARGV[1]) then return 'finished' end
    local lock = redis.call('GET', KEYS[2])
    if lock and string.sub(lock, 1, #ARGV[5]) ~= ARGV[5] then return 'already' end
    if redis.call('HGET', KEYS[1], 'ats') ~= ARGV[2] then return 'already' end
    if not redis.call('LPOS', KEYS[3], ARGV[1]) then return 'already' end
    redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
    return 'adopted'`,
};
