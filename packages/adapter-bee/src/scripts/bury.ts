import type { Script } from "../redis.ts";
import { FATE } from "./fate.ts";

/* Fails an orphan for good, keeps it whatever the queue's options say, and tells producers by Bee's own event.
 *   KEYS[1..9] as in fate.ts  ARGV[3] job (JSON), or empty to leave it as it is
 *   ARGV[4] event (JSON), or empty  ARGV[5] channel of events. Returns buried | already | finished | vanished. */
export const bury: Script = {
  name: "bury",
  keys: 9,
  lua: `${FATE}
    if ARGV[3] ~= '' then redis.call('HSET', KEYS[5], id, ARGV[3]) end
    redis.call('SADD', KEYS[7], id)
    redis.call('SADD', KEYS[8], id)
    if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[5], ARGV[4]) end
    return 'buried'`,
};
