import type { Script } from "../redis.ts";

/* The end of a run, as Bee means it, if the run still holds its job; otherwise nothing. A job that is no longer active
 * was put back by Bee's stall check, or removed; then another may have its name, and is left alone.
 *   KEYS[1] owner  KEYS[2] active  KEYS[3] stalling  KEYS[4] waiting  KEYS[5] jobs  KEYS[6] parked
 *   KEYS[7] where the id goes: succeeded, failed or delayed
 *   ARGV[1] id  ARGV[2] proof  ARGV[3] remove | set | wait | delay  ARGV[4] job (JSON)  ARGV[5] event (JSON), or empty
 *   ARGV[6] channel of events  ARGV[7] when it is due, ms
 *   ARGV[8] channel for what became due earlier  ARGV[9] when the job was made, ms
 *   Returns 1 when it was accepted, 2 when the job is just as this end would leave it, else 0. */
export const finish: Script = {
  name: "finish",
  keys: 7,
  lua: `
    local id = ARGV[1]
    local owner = redis.call('HGET', KEYS[1], id)
    if owner ~= ARGV[2] then
      local job = redis.call('HGET', KEYS[5], id)
      if ARGV[3] == 'remove' then return job and 0 or 2 end
      return job == ARGV[4] and 2 or 0
    end
    redis.call('HDEL', KEYS[1], id)
    if redis.call('LREM', KEYS[2], 0, id) == 0 then
      local read, job = pcall(cjson.decode, redis.call('HGET', KEYS[5], id) or '{}')
      if read and job.options and job.options.timestamp ~= tonumber(ARGV[9]) then return 1 end
      redis.call('LREM', KEYS[4], 0, id)
      redis.call('ZREM', KEYS[6], id)
    end
    redis.call('SREM', KEYS[3], id)
    if ARGV[3] == 'remove' then
      redis.call('HDEL', KEYS[5], id)
    else
      redis.call('HSET', KEYS[5], id, ARGV[4])
      if ARGV[3] == 'set' then redis.call('SADD', KEYS[7], id) end
      if ARGV[3] == 'wait' then redis.call('LPUSH', KEYS[4], id) end
      if ARGV[3] == 'delay' then
        redis.call('ZADD', KEYS[7], ARGV[7], id)
        redis.call('PUBLISH', ARGV[8], ARGV[7])
      end
    end
    if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[6], ARGV[5]) end
    return 1`,
};
