import type { Script } from "../connection.ts";

/* Moves orphans of one queue back, or beside it until they are due.
 *   KEYS[1] running  KEYS[2] given  KEYS[3] queues  then for each: work, workers, waiting, parked
 *   ARGV for each: proof, run, payload (empty: as it is), delay in ms, RPUSH (it is the next one) or LPUSH (behind all
 *   others), name of the queue that it goes to. Returns requeued | already | finished for each. */
export const requeue: Script = {
  name: "requeue",
  keys: undefined,
  lua: `
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local reply, names = {}, {}
    for at = 1, #ARGV, 6 do
      local base, proof, delay, queue = 4 + (at - 1) / 6 * 4, ARGV[at], tonumber(ARGV[at + 3]), ARGV[at + 5]
      local payload = redis.call('HGET', KEYS[1], proof)
      if not payload then
        reply[#reply + 1] = redis.call('ZSCORE', KEYS[2], proof) and 'already' or 'finished'
      else
        if ARGV[at + 2] ~= '' then payload = ARGV[at + 2] end
        if delay > 0 then
          redis.call('ZADD', KEYS[base + 3], now + delay, proof .. ' ' .. payload)
        else
          if not names[queue] then redis.call('SADD', KEYS[3], queue) end
          names[queue] = true
          redis.call(ARGV[at + 4], KEYS[base + 2], payload)
        end
        redis.call('ZADD', KEYS[2], now, proof)
        redis.call('HDEL', KEYS[base], ARGV[at + 1])
        redis.call('HDEL', KEYS[base + 1], ARGV[at + 1])
        redis.call('HDEL', KEYS[1], proof)
        reply[#reply + 1] = 'requeued'
      end
    end
    return reply`,
};

/* Moves an orphan to the dead set.
 *   KEYS[1] running  KEYS[2] given  KEYS[3] work  KEYS[4] workers  KEYS[5] dead
 *   ARGV[1] proof  ARGV[2] run  ARGV[3] payload, or empty to leave it as it is. Returns buried | already | finished. */
export const bury: Script = {
  name: "bury",
  keys: 5,
  lua: `
    local payload = redis.call('HGET', KEYS[1], ARGV[1])
    if not payload then return redis.call('ZSCORE', KEYS[2], ARGV[1]) and 'already' or 'finished' end
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('ZADD', KEYS[5], string.format('%.6f', now / 1000), ARGV[3] ~= '' and ARGV[3] or payload)
    redis.call('ZADD', KEYS[2], now, ARGV[1])
    redis.call('HDEL', KEYS[3], ARGV[2])
    redis.call('HDEL', KEYS[4], ARGV[2])
    redis.call('HDEL', KEYS[1], ARGV[1])
    return 'buried'`,
};
