import type { Script } from "../connection.ts";

/* A process renews what Sidekiq knows about it, for a minute, and takes one signal from the Web.
 *   KEYS[1] processes  KEYS[2] its hash  KEYS[3] work  KEYS[4] workers  KEYS[5] signals
 *   ARGV[1] identity  ARGV[2] info (JSON)  ARGV[3] concurrency  ARGV[4] busy  ARGV[5] beat, seconds  ARGV[6] rtt_us
 *   ARGV[7] quiet  ARGV[8] rss, KB  ARGV[9] 1: write workers too  then tid, job (JSON) for each run that goes on
 *   Returns a signal, or false. */
export const beat: Script = {
  name: "beat",
  keys: 5,
  lua: `
    redis.call('SADD', KEYS[1], ARGV[1])
    redis.call('HSET', KEYS[2], 'info', ARGV[2], 'concurrency', ARGV[3], 'busy', ARGV[4], 'beat', ARGV[5],
      'rtt_us', ARGV[6], 'quiet', ARGV[7], 'rss', ARGV[8])
    redis.call('EXPIRE', KEYS[2], 60)
    for at = 3, ARGV[9] == '1' and 4 or 3 do
      for field = 10, #ARGV, 2 do redis.call('HSET', KEYS[at], ARGV[field], ARGV[field + 1]) end
      redis.call('EXPIRE', KEYS[at], 60)
    end
    return redis.call('RPOP', KEYS[5])`,
};

/* A process that cannot beat keeps from lapsing. What it has left, or never wrote, is not made anew.
 *   KEYS[1] processes  KEYS[2] its hash  KEYS[3..] its lists  ARGV[1] identity  ARGV[2] beat, seconds
 *   Returns whether it was there. */
export const keep: Script = {
  name: "keep",
  keys: undefined,
  lua: `
    local isThere = redis.call('EXPIRE', KEYS[2], 60) == 1
    if isThere then
      redis.call('HSET', KEYS[2], 'beat', ARGV[2])
      redis.call('SADD', KEYS[1], ARGV[1])
    end
    for at = 3, #KEYS do redis.call('EXPIRE', KEYS[at], 60) end
    return isThere and 1 or 0`,
};
