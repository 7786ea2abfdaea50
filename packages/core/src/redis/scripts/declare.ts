import { named } from "./fragments.ts";
import { judge } from "./judge.ts";

/* Declare one suspect dead, if the evidence holds at this very instant. After it the incarnation has a tombstone, so
 * no beat, claim or registration of it is ever accepted again, and it is told so on its own channel.
 *   KEYS    see declareKeys
 *   ARGV    incarnation, cause ('left' and 'reported' are believed), numsub, presencePrefix, protocol, publish, nudges, forgetAfter,
 *           maxlen, evidence of 'reported'
 *   Returns the death as JSON, or false when it lives, is unknown or was declared before. */
export const declareKeys = [
  "clock",
  "instances",
  "roll",
  "deadlines",
  "lates",
  "blocked",
  "seen",
  "absent",
  "names",
  "leaving",
  "tombstones",
  "dead",
  "malformed",
  "history",
] as const;

/* Shared with retire: take an incarnation off the roster for good. Expects K, observed, unlist; forgetAfter in ms. */
export const strike: string = `
  local function strike(incarnation, name, forgetAfter)
    unlist(incarnation)
    redis.call('SREM', K.leaving, incarnation)
    local others = {}
    for other in string.gmatch(redis.call('HGET', K.names, name) or '', '%S+') do
      if other ~= incarnation then others[#others + 1] = other end
    end
    if #others > 0 then redis.call('HSET', K.names, name, table.concat(others, ' ')) else redis.call('HDEL', K.names, name) end
    redis.call('ZADD', K.tombstones, observed, incarnation)
    redis.call('ZREMRANGEBYSCORE', K.tombstones, '-inf', observed - forgetAfter)
    redis.call('HINCRBY', K.clock, 'changes', 1)
  end
`;

export const declare: string = `
  ${named(declareKeys)}
  local incarnation, cause = ARGV[1], ARGV[2]
  local numsub, presencePrefix, protocol, publish, nudges = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7]
  local observed = tonumber(redis.call('HGET', K.clock, 'observed') or 0)
  ${judge}
  ${strike}
  local record = redis.call('HGET', K.instances, incarnation)
  if not record then return false end
  local evidence = 'it left and could not hand over everything'
  if cause == 'reported' then
    evidence = ARGV[10]
  elseif cause ~= 'left' then
    cause, evidence = judge(incarnation)
    if not cause then return false end
  end
  local registration = decode(record)
  if not readable(registration) then return false end

  local time = redis.call('TIME')
  local at = time[1] * 1000 + math.floor(time[2] / 1000)
  local leaving = redis.call('SISMEMBER', K.leaving, incarnation) == 1
  local death = '{"registration":' .. record .. ',"cause":"' .. cause .. '","evidence":' .. cjson.encode(evidence) ..
    ',"observed":' .. observed .. ',"at":' .. at .. ',"leaving":' .. tostring(leaving) .. '}'
  strike(incarnation, registration.name, tonumber(ARGV[8]))
  redis.call('HSET', K.dead, incarnation, death)
  redis.call('HINCRBY', K.clock, 'deaths', 1)
  redis.call('XADD', K.history, 'MAXLEN', '~', ARGV[9], '*', 'e',
    cjson.encode({type = 'instance.dead', who = incarnation, evidence = evidence, detail = cause}))
  if numsub ~= '' then
    redis.pcall(publish, presencePrefix .. incarnation, 'fenced')
    redis.pcall(publish, nudges, 'death')
  end
  return death
`;
