import type { Script } from "../redis.ts";

/* Makes a job that Bee itself fetched ours, unless it is active no more or a run holds it.
 *   KEYS[1] active  KEYS[2] owner  KEYS[3] run
 *   ARGV[1] id  ARGV[2] holder  ARGV[3] number of this fetch. Returns the proof, or false. */
export const claim: Script = {
  name: "claim",
  keys: 3,
  lua: `
    if not redis.call('LPOS', KEYS[1], ARGV[1]) then return false end
    if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return false end
    local proof = ARGV[2] .. ':' .. ARGV[3] .. ':' .. redis.call('INCR', KEYS[3])
    redis.call('HSET', KEYS[2], ARGV[1], proof)
    return proof`,
};
