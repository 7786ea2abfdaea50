import type { QueueAdapter } from "./adapter.ts";
import { AssuranceError } from "./errors.ts";
import { redisStore, storeOn } from "./redis/store.ts";
import type { Store } from "./store.ts";

/**
 * The store when none is given: ASSURED_JOBS_REDIS_URL, else the Redis of the first adapter that can name its own.
 * @throws AssuranceError ERR_STORE_MISSING. There is no default address: a silent localhost would split the fleet.
 */
export function deriveStore(adapters: readonly QueueAdapter[], namespace: string | undefined): Store {
  if (process.env["ASSURED_JOBS_REDIS_URL"]) return redisStore({ namespace });
  for (const adapter of adapters) {
    const connection = adapter.connection?.();
    if (connection) return storeOn(connection, { namespace });
  }
  throw new AssuranceError(
    "ERR_STORE_MISSING",
    "No store: none was given, ASSURED_JOBS_REDIS_URL is not set, and no adapter can name its Redis (only connections of ioredis can be read). Pass store: redisStore({ url }).",
  );
}
