import type { Script } from "../redis.ts";

/* Takes the deduplication key of a buried job again before it is put back: BullMQ gave it up when the job failed, and
 * its own retry does not take it, so a twin could run beside it.
 *   KEYS[1] job   KEYS[2] failed   KEYS[3] prefix of the queue's keys
 *   ARGV[1] job id   ARGV[2] score of a buried job
 * Returns "" when the job may go back, "-" when it was not buried, or the id of the job that holds the key. */
export const retake: Script = {
  name: "retake",
  keys: 3,
  lua: `
    local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
    if not score or tonumber(score) < tonumber(ARGV[2]) then return '-' end
    local job = redis.call('HMGET', KEYS[1], 'deid', 'opts')
    if not job[1] then return '' end
    local key = KEYS[3] .. 'de:' .. job[1]
    local holder = redis.call('GET', key)
    if holder and holder ~= ARGV[1] and redis.call('EXISTS', KEYS[3] .. holder) == 1 then return holder end
    local ok, opts = pcall(cjson.decode, job[2] or '')
    local rule = ok and type(opts) == 'table' and opts['de'] or {}
    if not rule['ttl'] then redis.call('SET', key, ARGV[1]) end
    return ''`,
};
