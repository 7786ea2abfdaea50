import type { Script } from "../connection.ts";
import { fetchFunction } from "./fetch.ts";
import { finishFunction } from "./finish.ts";

/* What a busy worker sends in one turn of its event loop: the ends of runs, and then the fetch for the slots that they
 * free. An end that cannot be written keeps nobody from fetching.
 *   KEYS those of finish, then those of fetch  ARGV[1] number of keys of finish  ARGV[2] number of its arguments
 *   ARGV[3..] its arguments, then those of fetch.  Returns [reply of finish, or the text of its error; reply of fetch]. */
export const turn: Script = {
  name: "turn",
  keys: undefined,
  lua: `${finishFunction}${fetchFunction}
    local keys, args = tonumber(ARGV[1]), tonumber(ARGV[2])
    local isDone, ends = pcall(finish, {unpack(KEYS, 1, keys)}, {unpack(ARGV, 3, args + 2)})
    if not isDone then ends = type(ends) == 'table' and ends.err or tostring(ends) end
    return {ends, fetch({unpack(KEYS, keys + 1)}, {unpack(ARGV, args + 3)})}`,
};
