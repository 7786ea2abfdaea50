/* The Redis that is measured on: private, in memory, without saves, and gone afterwards. REDIS_URL is not heeded, since
 * everything is flushed and the server's own figures are read. */
import { startRedis } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";

/** @typedef {{ url: string, redis: Redis }} Server */

/**
 * @template T
 * @param {(server: Server) => Promise<T>} benchmark
 * @returns {Promise<T>}
 */
export async function onServer(benchmark) {
  const server = await startRedis({ own: true });
  const redis = new Redis(server.url);
  try {
    return await benchmark({ url: server.url, redis });
  } finally {
    redis.disconnect();
    await server.stop();
  }
}

/**
 * One figure of INFO.
 * @param {Redis} redis
 * @param {string} name
 */
export async function figure(redis, name) {
  const info = await redis.info();
  const found = new RegExp(`^${name}:([0-9.]+)`, "m").exec(info);
  if (!found) throw new Error(`INFO does not tell ${name}`);
  return Number(found[1]);
}
