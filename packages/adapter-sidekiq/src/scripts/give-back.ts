import type { Script } from "../connection.ts";

/* Begins with what every move of an orphan begins with: is the job still held by that run? If not, what became of it. */
const FATE = `
    local payload = redis.call('HGET', KEYS[1], ARGV[1])
    if not payload then return redis.call('ZSCORE', KEYS[2], ARGV[1]) and 'already' or 'finished' end
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/* Nothing of the run is left but the note that it was given away. */
const FORGET = `
    redis.call('ZADD', KEYS[2], now, ARGV[1])
    redis.call('HDEL', KEYS[3], ARGV[2])
    redis.call('HDEL', KEYS[4], ARGV[2])
    redis.call('HDEL', KEYS[1], ARGV[1])`;

/* Moves an orphan back to a queue, or beside it until it is due.
 *   KEYS[1] running  KEYS[2] given  KEYS[3] work  KEYS[4] workers  KEYS[5] waiting  KEYS[6] parked  KEYS[7] queues
 *   ARGV[1] proof  ARGV[2] run  ARGV[3] payload, or empty to leave it as it is  ARGV[4] delay, ms
 *   ARGV[5] RPUSH: it is the next one; LPUSH: behind all others  ARGV[6] name of the queue
 *   Returns requeued | already | finished. */
export const requeue: Script = {
  name: "requeue",
  keys: 7,
  lua: `${FATE}
    local text = ARGV[3] ~= '' and ARGV[3] or payload
    local delay = tonumber(ARGV[4])
    if delay > 0 then
      redis.call('ZADD', KEYS[6], now + delay, ARGV[1] .. ' ' .. text)
    else
      redis.call('SADD', KEYS[7], ARGV[6])
      redis.call(ARGV[5], KEYS[5], text)
    end
    ${FORGET}
    return 'requeued'`,
};

/* Moves an orphan to the dead set.
 *   KEYS[1] running  KEYS[2] given  KEYS[3] work  KEYS[4] workers  KEYS[5] dead
 *   ARGV[1] proof  ARGV[2] run  ARGV[3] payload, or empty to leave it as it is. Returns buried | already | finished. */
export const bury: Script = {
  name: "bury",
  keys: 5,
  lua: `${FATE}
    redis.call('ZADD', KEYS[5], string.format('%.6f', now / 1000), ARGV[3] ~= '' and ARGV[3] or payload)
    ${FORGET}
    return 'buried'`,
};
