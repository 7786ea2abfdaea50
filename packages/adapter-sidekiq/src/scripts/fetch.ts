import type { Script } from "../connection.ts";

/* Takes up to so many jobs off their queues and into the record of runs, at once: at no moment a job is in no key, and
 * none is held by nobody. Copied first and popped last, so that an error in between leaves a job twice, never nowhere.
 * What was given back with a delay and is due comes first. Sidekiq's own list of what a process works on is written in
 * the same step. A holder whose jobs were given away gets nothing.
 *   KEYS[1] run  KEYS[2] graves  KEYS[3] paused  KEYS[4] work  KEYS[5] workers  then for each queue: waiting, running, parked
 *   ARGV[1] holder  ARGV[2] number of jobs  ARGV[3] 1: write workers too  ARGV[4] number of queues  ARGV[5..] their names,
 *   in the order in which they are looked through; then, for weighted queues, a random seed and the weight of each
 *   Returns [ms until the next parked job is due or -1, indexes of paused queues, then queue index, run, payload for each],
 *   or [-2] for a holder in its grave. */
export const fetchFunction: string = `
    local function fetch(KEYS, ARGV)
      local holder, wanted, queues = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
      if redis.call('ZSCORE', KEYS[2], holder) then return {-2} end
      local time = redis.call('TIME')
      local now = time[1] * 1000 + math.floor(time[2] / 1000)
      local pausedNames, paused, isPaused = {}, {}, {}
      for _, name in ipairs(redis.call('SMEMBERS', KEYS[3])) do pausedNames[name] = true end
      local due, left, taken = -1, {}, {}
      for queue = 1, queues do
        local base = 3 + 3 * queue
        if pausedNames[ARGV[4 + queue]] then
          isPaused[queue] = true
          paused[#paused + 1] = queue - 1
        elseif redis.call('EXISTS', KEYS[base + 2]) == 1 then
          for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[base + 2], '-inf', now, 'LIMIT', 0, 100)) do
            redis.call('RPUSH', KEYS[base], string.sub(member, string.find(member, ' ', 1, true) + 1))
            redis.call('ZREM', KEYS[base + 2], member)
          end
          local next = redis.call('ZRANGE', KEYS[base + 2], 0, 0, 'WITHSCORES')
          if next[2] then
            local wait = math.max(0, next[2] - now)
            if due < 0 or wait < due then due = wait end
          end
        end
        taken[queue] = 0
      end
      local reply = {due, table.concat(paused, ' ')}
      local count = 0
      local function take(queue, most)
        if isPaused[queue] or left[queue] == 0 or most <= 0 then return 0 end
        local from = taken[queue]
        local found = redis.call('LRANGE', KEYS[3 + 3 * queue], -from - most, -from - 1)
        for at = #found, 1, -1 do
          count = count + 1
          reply[#reply + 1] = queue - 1
          reply[#reply + 1] = 0
          reply[#reply + 1] = found[at]
        end
        taken[queue] = from + #found
        if #found < most then left[queue] = 0 end
        return #found
      end
      local weights, total = {}, 0
      if ARGV[5 + queues] then
        math.randomseed(tonumber(ARGV[5 + queues]))
        for queue = 1, queues do
          weights[queue] = tonumber(ARGV[5 + queues + queue])
          total = total + weights[queue]
        end
      end
      while count < wanted and total > 0 do
        local ticket, queue = math.random(total), 0
        repeat
          queue = queue + 1
          ticket = ticket - weights[queue]
        until ticket <= 0
        if take(queue, 1) == 0 then
          total = total - weights[queue]
          weights[queue] = 0
        end
      end
      for queue = 1, queues do take(queue, wanted - count) end
      if count == 0 then return reply end
      local last = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
      redis.call('SET', KEYS[1], string.format('%.0f', last + count))
      local work, runs, before = {}, {}, {}
      for at = 1, count do
        local queue, payload = reply[3 * at] + 1, reply[3 * at + 2]
        local run = string.format('%.0f', last + at)
        reply[3 * at + 1] = run
        runs[queue] = runs[queue] or {}
        table.insert(runs[queue], holder .. ':' .. run)
        table.insert(runs[queue], payload)
        work[#work + 1] = run
        before[queue] = before[queue] or '{"queue":' .. cjson.encode(ARGV[4 + queue]) .. ',"run_at":' .. time[1] .. ',"payload":'
        work[#work + 1] = before[queue] .. cjson.encode(payload) .. '}'
      end
      for queue, fields in pairs(runs) do redis.call('HSET', KEYS[4 + 3 * queue], unpack(fields)) end
      for at = 4, ARGV[3] == '1' and 5 or 4 do
        redis.call('HSET', KEYS[at], unpack(work))
        redis.call('EXPIRE', KEYS[at], 60)
      end
      for queue = 1, queues do
        if taken[queue] > 0 then redis.call('RPOP', KEYS[3 + 3 * queue], taken[queue]) end
      end
      return reply
    end`;

export const fetch: Script = {
  name: "fetch",
  keys: undefined,
  lua: `${fetchFunction}
    return fetch(KEYS, ARGV)`,
};
