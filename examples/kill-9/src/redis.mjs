/* A Redis for the demo: a private server, or REDIS_URL under names of our own that are removed afterwards. */
import { randomBytes } from "node:crypto";
import { startRedis } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";

/** @typedef {{ url: string, prefix: () => string, end: () => Promise<void> }} Server */

/** @returns {Promise<Server>} */
export async function openRedis() {
  const server = await startRedis();
  /** @type {string[]} */
  const prefixes = [];
  return {
    url: server.url,
    prefix() {
      const prefix = `kill-9-${randomBytes(6).toString("hex")}`;
      prefixes.push(prefix);
      return prefix;
    },
    async end() {
      if (!server.owned) await remove(server.url, prefixes);
      await server.stop();
    },
  };
}

/* Jobs are `<prefix>:...`, the records of assurance `{<prefix>}:...`. */
async function remove(/** @type {string} */ url, /** @type {string[]} */ prefixes) {
  const redis = new Redis(url);
  redis.on("error", () => {});
  try {
    for (const pattern of prefixes.flatMap((prefix) => [`${prefix}:*`, `{${prefix}}:*`])) {
      for await (const keys of redis.scanStream({ match: pattern, count: 1_000 })) {
        if (keys.length > 0) await redis.unlink(keys);
      }
    }
  } finally {
    redis.disconnect();
  }
}
