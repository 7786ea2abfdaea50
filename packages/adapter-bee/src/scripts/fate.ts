/* Begins with what every move of an orphan begins with: is the job still held by that run? If not, what became of it. A
 * worker without assurance, to whom Bee's own rule gave it, may have ended it since: then the owner is a leftover.
 * The first nine keys: owner, active, stalling, waiting, jobs, succeeded, failed, buried, parked; ARGV[1] id, ARGV[2] proof.
 * Newest first in the active list, so that LREM meets it soon; a second entry there is cleared by the next finish. */
export const FATE = `
    local id = ARGV[1]
    if redis.call('HGET', KEYS[1], id) ~= ARGV[2] then
      if redis.call('HEXISTS', KEYS[5], id) == 0 then return 'vanished' end
      if redis.call('HEXISTS', KEYS[1], id) == 1 or redis.call('SISMEMBER', KEYS[8], id) == 1 then return 'already' end
      if redis.call('SISMEMBER', KEYS[6], id) == 1 or redis.call('SISMEMBER', KEYS[7], id) == 1 then return 'finished' end
      return 'already'
    end
    redis.call('HDEL', KEYS[1], id)
    if redis.call('LREM', KEYS[2], 1, id) == 0 then
      if redis.call('SISMEMBER', KEYS[6], id) == 1 or redis.call('SISMEMBER', KEYS[7], id) == 1 then
        redis.call('SREM', KEYS[3], id)
        return 'finished'
      end
      redis.call('LREM', KEYS[4], 0, id)
      redis.call('ZREM', KEYS[9], id)
    end
    redis.call('SREM', KEYS[3], id)
    if redis.call('HEXISTS', KEYS[5], id) == 0 then return 'vanished' end`;
