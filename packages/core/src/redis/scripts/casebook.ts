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
  local ids, marks = {}, {}
  for at = 3, #ARGV, 6 do
    ids[#ids + 1] = ARGV[at]
    marks[#marks + 1] = ARGV[at + 1] .. ' ' .. ARGV[at + 2] .. ' ' .. ARGV[at]
  end
  local found, settled = redis.call('HMGET', KEYS[1], unpack(ids)), redis.call('ZMSCORE', KEYS[3], unpack(marks))
  local written, records, answers = {}, {}, {}
  for n, id in ipairs(ids) do
    local at, budget, suspected = 6 * n - 3, KEYS[2 * n + 2], KEYS[2 * n + 3]
    local run, holder, charged, orphan = tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3] == '1', ARGV[at + 4]
    local isNew = charged and redis.call('ZADD', budget, 'NX', now, holder) == 1
    if isNew then redis.call('PEXPIRE', budget, window) end
    local deaths = redis.call('ZCARD', budget)
    if deaths > 0 and not (isNew and deaths == 1) then
      redis.call('ZREMRANGEBYSCORE', budget, '-inf', now - window)
      deaths = redis.call('ZCARD', budget)
    end
    if charged and deaths > 1 then
      redis.call('SADD', suspected, ARGV[at + 5])
      redis.call('PEXPIRE', suspected, window)
    end
    local openedAt, current = now, written[id] or found[n]
    local former = current and decode(current)
    local isSame = former and former.orphan.run == run and former.orphan.holder == holder
    if isSame then openedAt = former.openedAt end
    if not settled[n] and (not former or isSame or former.orphan.run < run) then
      written[id] = '{"orphan":' .. orphan .. ',"deaths":' .. deaths .. ',"openedAt":' .. openedAt .. '}'
      records[#records + 1] = id
      records[#records + 1] = written[id]
    end
    answers[#answers + 1] = deaths
    answers[#answers + 1] = openedAt
  end
  if #records > 0 then redis.call('HSET', KEYS[1], unpack(records)) end
  redis.call('HSET', KEYS[2], queue, redis.call('HLEN', KEYS[1]))
  return answers
`;

/* Close cases; the one who closes writes the event, so it is written once. Everything is read before the first write, which
 * is one that a full server takes; a claim that nobody can read is left where it is and keeps no case open.
 *   KEYS    cases, pending, claimed, history, settled, then the claims of each holder
 *   ARGV    queue, maxlen, ms to remember the settlement, then for each: id, run, holder, claim field, event (JSON)
 *   Returns for each: 1 when this call closed it, else 0 */
export const settle: string = `
  ${decode}
  local queue, maxlen, remembered = ARGV[1], ARGV[2], tonumber(ARGV[3])
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local ids = {}
  for at = 4, #ARGV, 5 do ids[#ids + 1] = ARGV[at] end
  local found = redis.call('HMGET', KEYS[1], unpack(ids))
  local answers, closed, isClosed, marks, events, ended = {}, {}, {}, {}, {}, {}
  for n, id in ipairs(ids) do
    local at, claims = 5 * n - 1, KEYS[5 + n]
    local run, holder, field, event = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    local orphan = not isClosed[id] and found[n] and (decode(found[n]) or {}).orphan
    answers[n] = 0
    if type(orphan) == 'table' and orphan.run == tonumber(run) and orphan.holder == holder then
      answers[n] = 1
      isClosed[id] = true
      closed[#closed + 1] = id
      marks[#marks + 1] = now
      marks[#marks + 1] = run .. ' ' .. holder .. ' ' .. id
      events[#events + 1] = event
      local text = redis.pcall('HGET', claims, field)
      local claim = type(text) == 'string' and decode(text)
      local latest = claim and tonumber(claim.run)
      if latest and latest <= tonumber(run) then
        ended[claims] = ended[claims] or {holder = holder}
        table.insert(ended[claims], field)
      end
    end
  end
  if #closed > 0 then
    redis.call('HDEL', KEYS[1], unpack(closed))
    redis.call('ZADD', KEYS[5], unpack(marks))
  end
  for _, event in ipairs(events) do redis.call('XADD', KEYS[4], 'MAXLEN', '~', maxlen, '*', 'e', event) end
  for claims, fields in pairs(ended) do
    redis.call('HDEL', claims, unpack(fields))
    local left = redis.call('HLEN', claims)
    if left > 0 then redis.call('HSET', KEYS[3], fields.holder, left) else redis.call('HDEL', KEYS[3], fields.holder) end
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
