import type { Script } from "../connection.ts";

/* Moves orphans of one queue back, or beside it until they are due. One command for all that one key gets or loses, in
 * their order; written first and removed last, so that an error in between leaves jobs of the batch twice, never nowhere.
 * Sidekiq's own lists come last, and nothing depends on them.
 *   KEYS[1] running  KEYS[2] given  KEYS[3] queues  then for each: work, workers, waiting, parked
 *   ARGV for each: proof, run, payload (empty: as it is), delay in ms, RPUSH (it is the next one) or LPUSH (behind all
 *   others), name of the queue that it goes to. Returns requeued | already | finished for each. */
export const requeue: Script = {
  name: "requeue",
  keys: undefined,
  lua: `
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local calls, byKey = {}, {}
    local function add(command, key, value, more)
      local call = byKey[command .. key]
      if not call then
        call = {command, key}
        byKey[command .. key] = call
        calls[#calls + 1] = call
      end
      call[#call + 1] = value
      call[#call + 1] = more
    end
    local proofs, moved, reply, names = {}, {}, {}, {}
    for at = 1, #ARGV, 6 do proofs[#proofs + 1] = ARGV[at] end
    for n, payload in ipairs(redis.call('HMGET', KEYS[1], unpack(proofs))) do
      local proof, _, text, delay, side, queue = unpack(ARGV, 6 * n - 5, 6 * n)
      if not payload or moved[proof] then
        reply[n] = (moved[proof] or redis.call('ZSCORE', KEYS[2], proof)) and 'already' or 'finished'
      else
        reply[n] = 'requeued'
        moved[proof] = true
        if text == '' then text = payload end
        if tonumber(delay) > 0 then
          add('ZADD', KEYS[4 * n + 3], now + delay, proof .. ' ' .. text)
        else
          if not names[queue] then add('SADD', KEYS[3], queue) end
          names[queue] = true
          add(side, KEYS[4 * n + 2], text)
        end
        add('ZADD', KEYS[2], now, proof)
      end
    end
    for n, proof in ipairs(proofs) do
      if reply[n] == 'requeued' then add('HDEL', KEYS[1], proof) end
    end
    for _, call in ipairs(calls) do redis.call(unpack(call)) end
    calls = {}
    for n = 1, #proofs do
      if reply[n] == 'requeued' then
        add('HDEL', KEYS[4 * n], ARGV[6 * n - 4])
        add('HDEL', KEYS[4 * n + 1], ARGV[6 * n - 4])
      end
    end
    for _, call in ipairs(calls) do redis.pcall(unpack(call)) end
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
