import { decode } from "./fragments.ts";

/* Open cases: record each death in its job's budget (a set of incarnations: the same death never counts twice) and
 * keep the orphan until somebody settles it. Repeating it changes nothing, also after another one has settled it: a
 * recoverer that read the queue before the move and opens after the settlement must not cause a second event.
 * A job charged for the second time or more joins those suspected of that death.
 *   KEYS    cases, pending, settled, then for each orphan: its budget, the suspected of its holder
 *   ARGV    queue, window, then for each orphan: id, run, holder, charged (1 or 0), orphan (JSON), field [queue, id]
 *   Returns for each orphan: deaths, openedAt */
export const open: string = `
  ${decode}
  local queue, window = ARGV[1], tonumber(ARGV[2])
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local answers = {}
  for i = 4, #KEYS, 2 do
    local at = 3 + (i - 4) * 3
    local id, run, holder, charged, orphan = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    if charged == '1' then
      redis.call('ZADD', KEYS[i], 'NX', now, holder)
      redis.call('PEXPIRE', KEYS[i], window)
    end
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - window)
    local deaths, openedAt, current = redis.call('ZCARD', KEYS[i]), now, redis.call('HGET', KEYS[1], id)
    if charged == '1' and deaths > 1 then
      redis.call('SADD', KEYS[i + 1], ARGV[at + 5])
      redis.call('PEXPIRE', KEYS[i + 1], window)
    end
    local former = current and decode(current)
    if former and former.orphan.run == run and former.orphan.holder == holder then openedAt = former.openedAt end
    local settled = redis.call('ZSCORE', KEYS[3], run .. ' ' .. holder .. ' ' .. id)
    if not settled and (not former or former.orphan.run < run or (former.orphan.run == run and former.orphan.holder == holder)) then
      redis.call('HSET', KEYS[1], id, '{"orphan":' .. orphan .. ',"deaths":' .. deaths .. ',"openedAt":' .. openedAt .. '}')
    end
    answers[#answers + 1] = deaths
    answers[#answers + 1] = openedAt
  end
  redis.call('HSET', KEYS[2], queue, redis.call('HLEN', KEYS[1]))
  return answers
`;

/* Close cases; the one who closes writes the event, so it is written once.
 *   KEYS    cases, pending, claimed, history, settled, then the claims of each holder
 *   ARGV    queue, maxlen, ms to remember the settlement, then for each: id, run, holder, claim field, event (JSON)
 *   Returns for each: 1 when this call closed it, else 0 */
export const settle: string = `
  ${decode}
  local queue, maxlen, remembered = ARGV[1], ARGV[2], tonumber(ARGV[3])
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local answers = {}
  for i = 6, #KEYS do
    local at = 4 + (i - 6) * 5
    local id, run, holder, field, event = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    local current, closed = redis.call('HGET', KEYS[1], id), 0
    local record = current and decode(current)
    local orphan = record and record.orphan
    if orphan and orphan.run == run and orphan.holder == holder then
      redis.call('HDEL', KEYS[1], id)
      redis.call('ZADD', KEYS[5], now, run .. ' ' .. holder .. ' ' .. id)
      redis.call('XADD', KEYS[4], 'MAXLEN', '~', maxlen, '*', 'e', event)
      local claim = decode(redis.call('HGET', KEYS[i], field) or '')
      if claim and claim.run <= run and redis.call('HDEL', KEYS[i], field) == 1 then
        local left = redis.call('HLEN', KEYS[i])
        if left > 0 then redis.call('HSET', KEYS[3], holder, left) else redis.call('HDEL', KEYS[3], holder) end
      end
      closed = 1
    end
    answers[#answers + 1] = closed
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - remembered)
  redis.call('PEXPIRE', KEYS[5], remembered)
  local left = redis.call('HLEN', KEYS[1])
  if left > 0 then redis.call('HSET', KEYS[2], queue, left) else redis.call('HDEL', KEYS[2], queue) end
  return answers
`;

/* Deaths of a job inside the window.
 *   KEYS budget.  ARGV window.  Returns the number. */
export const deaths: string = `
  local time = redis.call('TIME')
  return redis.call('ZCOUNT', KEYS[1], '(' .. (time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]), '+inf')
`;

/* A queue was looked through for what a dead incarnation held.
 *   KEYS surveyed.  ARGV queue, ms to remember it.  Returns 1. */
export const survey: string = `
  redis.call('SADD', KEYS[1], ARGV[1])
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;

/* Let a suspect out when no other one is, of its queue or of one beside it, else park it behind the others.
 *   KEYS out, parked, then out of each queue beside.  ARGV id.  Returns 1 when it is out. */
export const admit: string = `
  local out = redis.call('GET', KEYS[1])
  local free = not out or out == ARGV[1]
  for i = 3, #KEYS do free = free and redis.call('EXISTS', KEYS[i]) == 0 end
  if free then
    redis.call('SET', KEYS[1], ARGV[1])
    redis.call('ZREM', KEYS[2], ARGV[1])
    return 1
  end
  if out == ARGV[1] then redis.call('DEL', KEYS[1]) end
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[2], 'NX', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
  return 0
`;

/* No longer a suspect.
 *   KEYS out, parked.  ARGV id.  Returns 1. */
export const dismiss: string = `
  if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 1
`;
