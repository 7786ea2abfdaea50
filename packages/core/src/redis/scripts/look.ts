import { named } from "./fragments.ts";
import { judge } from "./judge.ts";

/* One look at the fleet: take or renew duties and, for the one on watch, let observed time advance, note who is
 * present, and say who may be declared dead. Declares nobody: that is declare's step, on fresh evidence.
 *   KEYS    see lookKeys, then one key for each wanted duty
 *   ARGV    by, dutyTtl, interval, numsub, presencePrefix, protocol, slice, then the name of each wanted duty
 *   Returns {observed, population, deaths, changes, distrusted, presence, malformed, held{}, suspects{incarnation, cause, ...}, late{}, blocked{}}
 * Time: in one look a slice of the fleet is counted, a quarter of it when that is more; the marked ones always. */
export const lookKeys = [
  "clock",
  "instances",
  "roll",
  "deadlines",
  "lates",
  "blocked",
  "seen",
  "absent",
  "names",
  "malformed",
] as const;

export const look: string = `
  ${named(lookKeys)}
  local by, dutyTtl, interval = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
  local numsub, presencePrefix, protocol = ARGV[4], ARGV[5], tonumber(ARGV[6])
  local slice = math.max(tonumber(ARGV[7]), math.ceil(redis.call('HLEN', K.instances) / 4)) -- everybody within four looks
  local firstDuty, dutyNames = ${lookKeys.length}, 7
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local observed = tonumber(redis.call('HGET', K.clock, 'observed') or 0)
  ${judge}

  local function gone(holder)
    if redis.call('HEXISTS', K.instances, holder) == 0 then return true end
    return runId ~= nil and redis.call('HGET', K.seen, holder) == runId and (subscribers({holder})[holder] or 0) == 0
  end

  local held, watching = {}, false
  if redis.call('HEXISTS', K.instances, by) == 1 then
    for i = 1, #KEYS - firstDuty do
      local key, duty = KEYS[firstDuty + i], ARGV[dutyNames + i]
      local holder = redis.call('GET', key)
      if not holder or holder == by or gone(holder) then
        redis.call('SET', key, by, 'PX', dutyTtl)
        held[#held + 1] = duty
        if duty == 'watch' then watching = true end
      elseif redis.call('PTTL', key) > dutyTtl then redis.call('PEXPIRE', key, dutyTtl) -- the clock was set back
      end
    end
  end

  -- Until a look after the last one that was distrusted: when the path is whole again, who comes back last has its grace anew.
  local crowd = distrusted() or redis.call('HGET', K.clock, 'crowd') == '1'
  local function noteAbsent(incarnation)
    local since, looks = string.match(redis.call('HGET', K.absent, incarnation) or '', '^([^:]+):(%d+)$')
    if crowd then since, looks = nil, nil end
    redis.call('HSET', K.absent, incarnation, (since or observed) .. ':' .. ((tonumber(looks or 0)) + 1))
  end

  local function seenOf(incarnations)
    local seen = {}
    for first = 1, #incarnations, 1000 do
      local last = math.min(first + 999, #incarnations)
      local reply = redis.call('HMGET', K.seen, unpack(incarnations, first, last))
      for i = first, last do seen[i] = reply[i - first + 1] end
    end
    return seen
  end

  local function notePresence(incarnations, marked)
    if #incarnations == 0 then return end
    local counts, seen = subscribers(incarnations), seenOf(incarnations)
    if not runId then return end
    for i, incarnation in ipairs(incarnations) do
      local seenOn = seen[i]
      if (counts[incarnation] or 0) > 0 then
        if seenOn ~= runId then redis.call('HSET', K.seen, incarnation, runId) end
        if marked then redis.call('HDEL', K.absent, incarnation) end
      elseif seenOn == runId then noteAbsent(incarnation)
      elseif seenOn then redis.call('HDEL', K.seen, incarnation); redis.call('HDEL', K.absent, incarnation) end
    end
  end

  local function nextSlice(marked)
    local cursor = redis.call('HGET', K.clock, 'cursor') or ''
    local from = cursor == '' and '-' or '(' .. cursor
    local all = redis.call('ZRANGEBYLEX', K.roll, from, '+', 'LIMIT', 0, slice)
    redis.call('HSET', K.clock, 'cursor', #all < slice and '' or all[#all])
    local unmarked = {}
    for _, incarnation in ipairs(all) do
      if not marked[incarnation] then unmarked[#unmarked + 1] = incarnation end
    end
    return unmarked
  end

  local suspects = {}
  if watching then
    local pass = tonumber(redis.call('HGET', K.clock, 'pass') or now)
    observed = observed + math.min(math.max(now - pass, 0), 2 * interval)
    redis.call('HSET', K.clock, 'observed', observed, 'pass', now)
    local candidates, listed = redis.call('HKEYS', K.absent), {}
    for _, incarnation in ipairs(candidates) do listed[incarnation] = true end
    if runId then notePresence(candidates, true); notePresence(nextSlice(listed), false) end
    redis.call('HSET', K.clock, 'crowd', distrusted() and '1' or '0')
    for _, incarnation in ipairs(redis.call('ZRANGEBYSCORE', K.deadlines, '-inf', observed, 'LIMIT', 0, slice)) do
      if not listed[incarnation] then candidates[#candidates + 1] = incarnation end
    end
    for _, incarnation in ipairs(candidates) do
      local cause = judge(incarnation)
      if cause then suspects[#suspects + 1] = incarnation; suspects[#suspects + 1] = cause end
    end
  end

  local late, blocked = {}, redis.call('HKEYS', K.blocked)
  for _, incarnation in ipairs(redis.call('ZRANGEBYSCORE', K.lates, '-inf', observed, 'LIMIT', 0, slice)) do
    if not judge(incarnation) then
      local deadline = tonumber(redis.call('ZSCORE', K.deadlines, incarnation) or 'inf')
      if redis.call('HEXISTS', K.instances, incarnation) == 1 then table.insert(observed >= deadline and blocked or late, incarnation) end
    end
  end
  local counters = redis.call('HMGET', K.clock, 'deaths', 'changes')
  return {observed, redis.call('HLEN', K.instances), tonumber(counters[1] or 0), tonumber(counters[2] or 0),
    distrusted() and 1 or 0, runId and 1 or 0, redis.call('HLEN', K.malformed), held, suspects, late, blocked}
`;
