import { strike } from "./declare.ts";
import { decode, named, unlist } from "./fragments.ts";

/* Write or renew a registration; counts as a beat.
 *   KEYS    see registerKeys
 *   ARGV    incarnation, registration (JSON), name, ttl, interval, presencePrefix, numsub
 *   Returns {1, siblings that are present} or {0} when there is a tombstone. */
export const registerKeys = [
  "clock",
  "instances",
  "roll",
  "deadlines",
  "lates",
  "seen",
  "absent",
  "names",
  "tombstones",
] as const;

export const register: string = `
  ${named(registerKeys)}
  local incarnation, name = ARGV[1], ARGV[3]
  if redis.call('ZSCORE', K.tombstones, incarnation) then return {0} end
  local siblings, channels = {}, {ARGV[6] .. incarnation}
  for other in string.gmatch(redis.call('HGET', K.names, name) or '', '%S+') do
    if other ~= incarnation then siblings[#siblings + 1] = other; channels[#channels + 1] = ARGV[6] .. other end
  end
  if redis.call('HSET', K.instances, incarnation, ARGV[2]) == 1 then
    redis.call('HSET', K.names, name, table.concat(siblings, ' ') .. ' ' .. incarnation)
  end
  local observed = tonumber(redis.call('HGET', K.clock, 'observed') or 0)
  redis.call('ZADD', K.roll, 0, incarnation)
  redis.call('ZADD', K.deadlines, observed + ARGV[4], incarnation)
  redis.call('ZADD', K.lates, observed + math.min(ARGV[5] * 1.5, ARGV[4]), incarnation)
  redis.call('HDEL', K.absent, incarnation)
  redis.call('HINCRBY', K.clock, 'changes', 1)

  local present = {}
  if ARGV[7] == '' then return {1, present} end
  local info, counts = redis.pcall('INFO', 'server'), redis.pcall('PUBSUB', ARGV[7], unpack(channels))
  if type(info) ~= 'string' or counts.err then return {1, present} end
  if tonumber(counts[2]) > 0 then redis.call('HSET', K.seen, incarnation, string.match(info, 'run_id:(%x+)')) end
  for i = 1, #siblings do
    if tonumber(counts[2 * i + 2]) > 0 then present[#present + 1] = siblings[i] end
  end
  return {1, present}
`;

/* "I live." Clears the mark of absence: who beats is not gone, whatever became of its subscription.
 *   KEYS    see beatKeys
 *   ARGV    incarnation, ttl, interval, blockedFor
 *   Returns 'alive', 'fenced' (tombstone) or 'unknown' (no record: register again). */
export const beatKeys = ["clock", "instances", "deadlines", "lates", "blocked", "absent", "tombstones"] as const;

export const beat: string = `
  ${named(beatKeys)}
  local incarnation, blockedFor = ARGV[1], tonumber(ARGV[4])
  if redis.call('ZSCORE', K.tombstones, incarnation) then return 'fenced' end
  if redis.call('HEXISTS', K.instances, incarnation) == 0 then return 'unknown' end
  local observed = tonumber(redis.call('HGET', K.clock, 'observed') or 0)
  redis.call('ZADD', K.deadlines, observed + ARGV[2], incarnation)
  redis.call('ZADD', K.lates, observed + math.min(ARGV[3] * 1.5, ARGV[2]), incarnation)
  redis.call('HDEL', K.absent, incarnation)
  if blockedFor >= 1000 then redis.call('HSET', K.blocked, incarnation, blockedFor) else redis.call('HDEL', K.blocked, incarnation) end
  return 'alive'
`;

/* Retirement begins: a death from now on is not charged to the jobs.
 *   KEYS instances, leaving.  ARGV incarnation.  Returns 1, or 0 when it is not registered. */
export const leave: string = `
  if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
  redis.call('SADD', KEYS[2], ARGV[1])
  return 1
`;

/* Gone for good, by its own will, with nothing left behind.
 *   KEYS    see retireKeys, then each duty it may hold
 *   ARGV    incarnation, forgetAfter, maxlen, 1 for one that may come back under the same name: then no tombstone
 *   Returns 1, or 0 when it was not registered (declared dead meanwhile, retired before, or its record was lost). */
export const retireKeys = [
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
  "claims",
  "claimed",
  "history",
] as const;

export const retire: string = `
  ${named(retireKeys)}
  local incarnation = ARGV[1]
  local observed = tonumber(redis.call('HGET', K.clock, 'observed') or 0)
  ${unlist}
  ${strike}
  ${decode}
  local record = redis.call('HGET', K.instances, incarnation)
  if not record then
    if ARGV[4] == '0' then redis.call('ZADD', K.tombstones, observed, incarnation) end
    return 0
  end
  local registration = decode(record)
  strike(incarnation, registration and registration.name or '', tonumber(ARGV[2]))
  if ARGV[4] == '1' then redis.call('ZREM', K.tombstones, incarnation) end
  redis.call('DEL', K.claims)
  redis.call('HDEL', K.claimed, incarnation)
  redis.call('XADD', K.history, 'MAXLEN', '~', ARGV[3], '*', 'e', cjson.encode({type = 'instance.retired', who = incarnation}))
  return 1
`;

/* Give duties up: compare and delete.
 *   KEYS the duties.  ARGV incarnation.  Returns how many were given up. */
export const yieldDuties: string = `
  local given = 0
  for _, key in ipairs(KEYS) do
    if redis.call('GET', key) == ARGV[1] then given = given + redis.call('DEL', key) end
  end
  return given
`;

/* Take a dead incarnation off the list, with its claims; one that lives keeps them.
 *   KEYS dead, claimed, claims.  ARGV incarnation.  Returns 1, or 0 when it was not listed. */
export const forget: string = `
  if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('DEL', KEYS[3])
  return 1
`;
