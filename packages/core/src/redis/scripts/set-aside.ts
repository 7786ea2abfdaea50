/* Move one field of a hash, which nobody can read, to where it stops nothing and a person finds it. Compares first: a
 * record that was written again meanwhile stays.
 *   KEYS    hash, malformed, and perhaps a hash of sizes (pending)
 *   ARGV    field, value that was read, name under which to keep it, and perhaps the field of the size
 *   Returns 1 when it was moved. */
export const setAside: string = `
  if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[2])
  redis.call('HDEL', KEYS[1], ARGV[1])
  if KEYS[3] then redis.call('HSET', KEYS[3], ARGV[4], redis.call('HLEN', KEYS[1])) end
  return 1
`;
