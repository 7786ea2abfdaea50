import type { Script } from "../connection.ts";

/* Ends runs: each only while its proof stands in the record, with everything that Sidekiq writes about it, so that there
 * is no instant between the acknowledgement of a job and its retry. Written first and removed last: when one cannot be
 * written, all of its queue may be sent again, and at worst a job is there twice.
 *   KEYS[1] retry  KEYS[2] dead  KEYS[3..6] stat:processed, stat:failed, both of the day  KEYS[7] work  KEYS[8] workers
 *   then for each queue: running, given, waiting
 *   ARGV[1] most entries in the dead set  ARGV[2] seconds that they are kept  then groups of ends: index of their queue,
 *   kind, how many, and for each its proof, for retry and dead also the seconds until its retry and its payload
 *     done: nothing is left of it   drop: it failed and nothing is left of it   retry: into the retry set
 *     dead: into the dead set       junk: the same, as it was fetched; as in Ruby it counts as no run   back: to the far end of its queue
 *   Returns for each: 1 accepted, 0 it was given away, 2 it is not there: perhaps an answer was lost. */
export const finishFunction: string = `
    local function finish(KEYS, ARGV)
      local time = redis.call('TIME')
      local now = tonumber(time[1]) + time[2] / 1000000
      local ends, proofs, payloads = {}, {}, {}
      local at = 3
      while at <= #ARGV do
        local queue, kind = tonumber(ARGV[at]), ARGV[at + 1]
        local hasText = kind == 'retry' or kind == 'dead'
        proofs[queue] = proofs[queue] or {}
        for n = 1, tonumber(ARGV[at + 2]) do
          local first = at + 3 + (n - 1) * (hasText and 3 or 1)
          ends[#ends + 1] = {queue, kind, ARGV[first], hasText and ARGV[first + 1], hasText and ARGV[first + 2]}
          table.insert(proofs[queue], ARGV[first])
        end
        at = at + 3 + ARGV[at + 2] * (hasText and 3 or 1)
      end
      for queue, of in pairs(proofs) do
        for n, payload in ipairs(redis.call('HMGET', KEYS[9 + 3 * queue], unpack(of))) do payloads[of[n]] = payload end
      end
      local reply, runs, ended, back = {}, {}, {}, {}
      local processed, failed, dead = 0, 0, false
      for n, one in ipairs(ends) do
        local queue, kind, proof, delay, text = unpack(one)
        local payload = payloads[proof]
        runs[n] = string.match(proof, '%d+$')
        if not payload then
          reply[n] = redis.call('ZSCORE', KEYS[10 + 3 * queue], proof) and 0 or 2
        else
          payloads[proof] = nil
          if kind == 'retry' then
            redis.call('ZADD', KEYS[1], string.format('%.6f', now + delay), text)
          elseif kind == 'dead' or kind == 'junk' then
            redis.call('ZADD', KEYS[2], string.format('%.6f', now), text or payload)
            dead = true
          elseif kind == 'back' then
            back[queue] = back[queue] or {}
            table.insert(back[queue], payload)
          end
          ended[queue] = ended[queue] or {}
          table.insert(ended[queue], proof)
          if kind ~= 'junk' and kind ~= 'back' then
            processed = processed + 1
            if kind ~= 'done' then failed = failed + 1 end
          end
          reply[n] = 1
        end
      end
      for queue, of in pairs(ended) do
        if back[queue] then redis.call('LPUSH', KEYS[11 + 3 * queue], unpack(back[queue])) end
        redis.call('HDEL', KEYS[9 + 3 * queue], unpack(of))
      end
      redis.call('HDEL', KEYS[7], unpack(runs))
      redis.call('HDEL', KEYS[8], unpack(runs))
      if dead then
        redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.6f', now - ARGV[2]))
        redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -tonumber(ARGV[1]))
      end
      local function add(total, day, count)
        if count == 0 then return end
        redis.call('INCRBY', total, count)
        if redis.call('INCRBY', day, count) == count then redis.call('EXPIRE', day, 157680000) end
      end
      add(KEYS[3], KEYS[5], processed)
      add(KEYS[4], KEYS[6], failed)
      return reply
    end`;

export const finish: Script = {
  name: "finish",
  keys: undefined,
  lua: `${finishFunction}
    return finish(KEYS, ARGV)`,
};
