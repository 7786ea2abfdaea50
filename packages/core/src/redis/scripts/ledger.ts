import { decode } from "./fragments.ts";

/* Change the claims of an incarnation that lives. A write that comes late, from one that was declared dead or
 * forgotten, is refused, so it cannot bring anything back.
 *   KEYS    instances, claims, claimed
 *   ARGV    incarnation, number to add, then field and claim (JSON) of each, then field and run of those to
 *           remove: a claim of a later run stays
 *   Returns 1, or 0 when refused */
export const claim: string = `
  ${decode}
  if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
  local adds = tonumber(ARGV[2])
  for i = 1, adds do redis.call('HSET', KEYS[2], ARGV[1 + 2 * i], ARGV[2 + 2 * i]) end
  for i = 3 + 2 * adds, #ARGV, 2 do
    local current = decode(redis.call('HGET', KEYS[2], ARGV[i]) or '')
    if not current or current.run <= tonumber(ARGV[i + 1]) then redis.call('HDEL', KEYS[2], ARGV[i]) end
  end
  local left = redis.call('HLEN', KEYS[2])
  if left > 0 then redis.call('HSET', KEYS[3], ARGV[1], left) else redis.call('HDEL', KEYS[3], ARGV[1]) end
  return 1
`;

/* Put a job into quarantine; the first record of a run stays, and that of a later run replaces it.
 *   KEYS clock, quarantine, quarantineOrder.  ARGV field, record without its time (JSON object, open: no closing brace), run.
 *   Returns 1 when it is new. */
export const quarantine: string = `
  ${decode}
  local former = decode(redis.call('HGET', KEYS[2], ARGV[1]) or '')
  if former and former.run >= tonumber(ARGV[3]) then return 0 end
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ',"at":' .. (time[1] * 1000 + math.floor(time[2] / 1000)) .. '}')
  redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[1], 'quarantined', 1), ARGV[1])
  return 1
`;

/* KEYS quarantine, quarantineOrder.  ARGV field, run (empty: whatever run).  Returns 1 when it was there. */
export const unquarantine: string = `
  ${decode}
  local record = decode(redis.call('HGET', KEYS[1], ARGV[1]) or '')
  if ARGV[2] ~= '' and record and record.run ~= tonumber(ARGV[2]) then return 0 end
  redis.call('ZREM', KEYS[2], ARGV[1])
  return redis.call('HDEL', KEYS[1], ARGV[1])
`;

/* KEYS instances, dead, claimed, quarantine, pending.  Returns the five counts. */
export const counts: string = `
  local function sum(key)
    local total = 0
    for _, n in ipairs(redis.call('HVALS', key)) do total = total + n end
    return total
  end
  return {redis.call('HLEN', KEYS[1]), redis.call('HLEN', KEYS[2]), sum(KEYS[3]), redis.call('HLEN', KEYS[4]), sum(KEYS[5])}
`;
