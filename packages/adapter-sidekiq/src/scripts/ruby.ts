import type { Script } from "../connection.ts";

/* Puts an orphan of a Ruby worker where it belongs. Expects text, delay, side, queue; KEYS waiting, parked, queues from `at` on. */
const place = (at: number): string => `
    local time = redis.call('TIME')
    if tonumber(ARGV[4]) > 0 then
      local now = time[1] * 1000 + math.floor(time[2] / 1000)
      redis.call('ZADD', KEYS[${at + 1}], now + ARGV[4], ARGV[1] .. ' ' .. ARGV[3])
    elseif ARGV[5] == 'dead' then
      redis.call('ZADD', KEYS[${at}], time[1], ARGV[3])
    else
      redis.call('SADD', KEYS[${at + 2}], ARGV[6])
      redis.call(ARGV[5], KEYS[${at}], ARGV[3])
    end`;

/* Takes the life of an instance of the gem, or begins one: its id may be used again by its next process.
 *   KEYS[1] lives (HASH)  ARGV[1] instance  ARGV[2] a new life. Returns the life. */
export const gemLife: Script = {
  name: "gem-life",
  keys: 1,
  lua: `
    redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
    return redis.call('HGET', KEYS[1], ARGV[1])`,
};

/* Moves a job that the gem tracks, if its instance is still gone and the payload is still the one that was seen. The gem
 * itself deletes the payload before it pushes; whoever comes second finds nothing. With its last job the life ends.
 *   KEYS[1] instance  KEYS[2] jobs (SET)  KEYS[3] job  KEYS[4] lives  KEYS[5] waiting, or dead  KEYS[6] parked  KEYS[7] queues
 *   ARGV[1] jid and mark  ARGV[2] payload as it was seen  ARGV[3] payload  ARGV[4] delay, ms  ARGV[5] RPUSH, LPUSH or dead
 *   ARGV[6] queue  ARGV[7] jid  ARGV[8] id of the instance. Returns moved | already | finished. */
export const moveGem: Script = {
  name: "move-gem",
  keys: 7,
  lua: `
    if redis.call('EXISTS', KEYS[1]) == 1 then return 'already' end
    if redis.call('SISMEMBER', KEYS[2], ARGV[7]) == 0 then return 'finished' end
    if redis.call('GET', KEYS[3]) ~= ARGV[2] then return 'finished' end
    ${place(5)}
    redis.call('SREM', KEYS[2], ARGV[7])
    redis.call('DEL', KEYS[3])
    if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('HDEL', KEYS[4], ARGV[8]) end
    return 'moved'`,
};

/* Deletes the gem's lock if it is ours, or renews it.
 *   KEYS[1] lock  ARGV[1] token  ARGV[2] ms, 0 to delete. Returns 1 or 0. */
export const gemLock: Script = {
  name: "gem-lock",
  keys: 1,
  lua: `
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])`,
};

/* Keeps what a Ruby process works on, as long as it says so itself: its own list lapses a minute after its last beat.
 *   KEYS[1] its hash  KEYS[2] work  KEYS[3] workers  KEYS[4] copy  KEYS[5] processes  ARGV[1] identity
 *   Returns alive | left (off the list, by itself) | gone (its record has lapsed). */
export const copyWork: Script = {
  name: "copy-work",
  keys: 5,
  lua: `
    if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
    redis.call('DEL', KEYS[4])
    if redis.call('SISMEMBER', KEYS[5], ARGV[1]) == 0 then return 'left' end
    for list = 2, 3 do
      local fields = redis.call('HGETALL', KEYS[list])
      for at = 1, #fields, 2 do redis.call('HSET', KEYS[4], fields[at], fields[at + 1]) end
    end
    return 'alive'`,
};

/* Moves a job of the copy, if it is still there.
 *   KEYS[1] copy  KEYS[2] waiting, or dead  KEYS[3] parked  KEYS[4] queues
 *   ARGV[1] mark  ARGV[2] tid  ARGV[3] payload  ARGV[4] delay, ms  ARGV[5] RPUSH, LPUSH or dead  ARGV[6] queue
 *   Returns moved | finished. */
export const moveCopied: Script = {
  name: "move-copied",
  keys: 4,
  lua: `
    if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then return 'finished' end
    ${place(2)}
    redis.call('HDEL', KEYS[1], ARGV[2])
    return 'moved'`,
};
