import type { Script } from "../redis.ts";
import { requeue } from "./requeue.ts";

/* A record of an owner that nobody can read may be anything, also bytes that a client does not give back as it got them.
 * So it goes by its hash: what is compared is what stands there, to the last byte. */

/** KEYS[1] owner  ARGV ids. Returns the hash of each one's record; empty when there is none. */
export const fingerprint: Script = {
  name: "fingerprint",
  keys: 1,
  lua: `
    local hashes = {}
    for at, id in ipairs(ARGV) do
      local owner = redis.call('HGET', KEYS[1], id)
      hashes[at] = owner and redis.sha1hex(owner) or ''
    end
    return hashes`,
};

/** As requeue, with the hash of the record in ARGV[2]. */
export const requeueUnreadable: Script = {
  name: "requeueUnreadable",
  keys: requeue.keys,
  lua: `
    local owner = redis.call('HGET', KEYS[1], ARGV[1])
    if not owner or redis.sha1hex(owner) ~= ARGV[2] then return 'already' end
    ARGV[2] = owner${requeue.lua}`,
};
