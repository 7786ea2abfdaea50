/* Private Redis servers for tests, demos and benchmarks.
 *
 * Nothing here touches a server that we neither started nor were given: a private one listens on
 * its own free port, keeps its files in its own temporary directory, and dies with this process.
 */
export { findRedisServer, ensureRedisServer } from "./binary.mjs";
export { startRedis } from "./start.mjs";
