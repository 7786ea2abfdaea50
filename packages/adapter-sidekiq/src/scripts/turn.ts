import type { Script } from "../connection.ts";
import { fetchFunction } from "./fetch.ts";
import { finishFunction } from "./finish.ts";

/* What a busy worker sends in one turn of its event loop: the ends of runs, and then the fetch for the slots that they
 * free. Neither keeps the other from its work, or from its answer.
 *   KEYS those of finish, then those of fetch  ARGV[1] number of keys of finish  ARGV[2] number of its arguments
 *   ARGV[3..] its arguments, then those of fetch.  Returns [reply of finish, reply of fetch], each or the text of its error. */
export const turn: Script = {
  name: "turn",
  keys: undefined,
  lua: `${finishFunction}${fetchFunction}
    local function replyOf(work, keys, args)
      local isDone, reply = pcall(work, keys, args)
      if isDone then return reply end
      return type(reply) == 'table' and reply.err or tostring(reply)
    end
    local keys, args = tonumber(ARGV[1]), tonumber(ARGV[2])
    local ends = replyOf(finish, {unpack(KEYS, 1, keys)}, {unpack(ARGV, 3, args + 2)})
    return {ends, replyOf(fetch, {unpack(KEYS, keys + 1)}, {unpack(ARGV, args + 3)})}`,
};
