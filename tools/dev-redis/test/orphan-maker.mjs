/* Starts a server, tells where it is, and never stops it. */
import { startRedis } from "@assured-jobs/dev-redis";

const redis = await startRedis({ own: true });
process.stdout.write(`${JSON.stringify({ pid: redis.pid, port: redis.port, dir: redis.dir })}\n`);
if (process.argv[2] === "throw") throw new Error("on purpose");
if (process.argv[2] === "wait") setInterval(() => {}, 1000);
