import type { Script } from "../redis.ts";
import { FATE } from "./fate.ts";

/* Puts an orphan back: to the front, or, with a delay, beside the queue until it is due.
 *   KEYS[1..9] as in fate.ts  ARGV[3] delay, ms.
 *   Returns requeued | already | finished | vanished. */
export const requeue: Script = {
  name: "requeue",
  keys: 9,
  lua: `${FATE}
    if tonumber(ARGV[3]) > 0 then
      local time = redis.call('TIME')
      redis.call('ZADD', KEYS[9], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3], id)
    else
      redis.call('RPUSH', KEYS[4], id)
    end
    return 'requeued'`,
};
