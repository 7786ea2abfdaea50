import type { Script } from "../connection.ts";

/* Scheduled jobs and retries that are due by the server's clock.
 *   KEYS[1] schedule or retry  ARGV[1] how many at most
 *   Returns [ms until the next one after those is due or -1, entries...]. */
export const due: Script = {
  name: "due",
  keys: 1,
  lua: `
    local time = redis.call('TIME')
    local now = tonumber(time[1]) + time[2] / 1000000
    local entries = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now), 'LIMIT', 0, ARGV[1])
    local next = redis.call('ZRANGE', KEYS[1], #entries, #entries, 'WITHSCORES')
    table.insert(entries, 1, next[2] and math.max(0, math.ceil((next[2] - now) * 1000)) or -1)
    return entries`,
};

/* Moves entries to the queues that they name, each if it is still there: whoever dies before leaves it where it was, and
 * of two pollers, ours or Ruby's, one moves it. An entry that nobody can read goes to the dead set as it is.
 *   KEYS[1] schedule or retry  KEYS[2] queues  KEYS[3] dead  then for each entry: waiting
 *   ARGV: entry, name of its queue (empty: unreadable), payload for each. Returns how many were moved. */
export const raise: Script = {
  name: "raise",
  keys: undefined,
  lua: `
    local time = redis.call('TIME')
    local moved = 0
    for at = 1, #ARGV, 3 do
      if redis.call('ZSCORE', KEYS[1], ARGV[at]) then
        if ARGV[at + 1] == '' then
          redis.call('ZADD', KEYS[3], time[1], ARGV[at])
        else
          redis.call('SADD', KEYS[2], ARGV[at + 1])
          redis.call('LPUSH', KEYS[3 + (at + 2) / 3], ARGV[at + 2])
        end
        moved = moved + redis.call('ZREM', KEYS[1], ARGV[at])
      end
    end
    return moved`,
};
