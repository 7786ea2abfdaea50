/* Pieces of Lua that several scripts are made of. */

/** Names for KEYS: scripts read `K.absent` instead of counting. */
export function named(names: readonly string[]): string {
  return `local K = {${names.map((name, i) => `${name} = KEYS[${i + 1}]`).join(", ")}}\n`;
}

/* Reads JSON that may be anybody's: nil for what is no object. */
export const decode: string = `
  local function decode(record)
    local ok, value = pcall(cjson.decode, record)
    if ok and type(value) == 'table' then return value end
  end
`;

/* Takes an incarnation out of everything that says it lives. Expects K. */
export const unlist: string = `
  local function unlist(incarnation)
    redis.call('HDEL', K.instances, incarnation)
    redis.call('ZREM', K.roll, incarnation)
    redis.call('ZREM', K.deadlines, incarnation)
    redis.call('ZREM', K.lates, incarnation)
    redis.call('HDEL', K.blocked, incarnation)
    redis.call('HDEL', K.seen, incarnation)
    redis.call('HDEL', K.absent, incarnation)
  end
`;
