import type { Script } from "../redis.ts";

/* Takes up to so many jobs: off the waiting list, onto the active one, out of the stalled ones, and into the record of
 * owners, at once, so that at no moment a job is active and nobody's. What was given back with a delay and is due goes
 * first. An id without a job is dropped. An id that a run still holds waits beside the queue: Bee's stall
 * check put it back, or it was removed in mid-run and another job has its name (scripts/finish.ts tells which).
 *   KEYS[1] waiting  KEYS[2] active  KEYS[3] jobs  KEYS[4] stalling  KEYS[5] owner  KEYS[6] run  KEYS[7] parked  KEYS[8] bar
 *   ARGV[1] holder  ARGV[2] number of jobs  ARGV[3] number of this fetch
 *   Returns [ms until the next parked one is due or -1, then id, job (JSON), proof for each], or [-2] when it was barred. */
export const fetch: Script = {
  name: "fetch",
  keys: 8,
  lua: `
    local function now()
      local time = redis.call('TIME')
      return time[1] * 1000 + math.floor(time[2] / 1000)
    end
    if tonumber(redis.call('GET', KEYS[8]) or '-1') >= tonumber(ARGV[3]) then return {-2} end
    local due = -1
    if redis.call('EXISTS', KEYS[7]) == 1 then
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', now(), 'LIMIT', 0, 100)) do
        redis.call('ZREM', KEYS[7], id)
        redis.call('RPUSH', KEYS[1], id)
      end
      local next = redis.call('ZRANGE', KEYS[7], 0, 0, 'WITHSCORES')
      if next[2] then due = math.max(0, next[2] - now()) end
    end
    local reply = {due}
    local wanted = tonumber(ARGV[2])
    local looks = wanted + 1000
    local run = redis.call('INCRBY', KEYS[6], wanted) - wanted
    while wanted > 0 and looks > 0 do
      looks = looks - 1
      local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
      if not id then break end
      local job = redis.call('HGET', KEYS[3], id)
      local proof = ARGV[1] .. ':' .. ARGV[3] .. ':' .. run + 1
      if not job then
        redis.call('LREM', KEYS[2], 0, id)
        redis.call('HDEL', KEYS[5], id)
      elseif redis.call('HSETNX', KEYS[5], id, proof) == 0 then
        redis.call('LREM', KEYS[2], 0, id)
        redis.call('ZADD', KEYS[7], 'NX', now() + 1000, id)
      else
        run = run + 1
        wanted = wanted - 1
        redis.call('SREM', KEYS[4], id)
        reply[#reply + 1] = id
        reply[#reply + 1] = job
        reply[#reply + 1] = proof
      end
    end
    return reply`,
};
