/* The conformance suite on a real Redis that each test starts for itself. */
import { setTimeout as sleep } from "node:timers/promises";
import { startRedis } from "@assured-jobs/dev-redis";
import { redisStore } from "@assured-jobs/core";
import type { Store } from "@assured-jobs/core";
import { describeStore } from "@assured-jobs/core/testing";
import type { StoreHarness } from "@assured-jobs/core/testing";
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis5";
import * as vitest from "vitest";

type Client = new (port: number, host: string, options: { lazyConnect: true }) => object;

/* A client of the user's gives its options; ours are made by the ioredis that core finds. */
function openRedis(Client?: Client): () => Promise<StoreHarness> {
  return async () => {
    const redis = await startRedis({ own: true, args: ["--appendonly", "yes", "--appendfsync", "always"] });
    const subscribers = new Redis(redis.port, "127.0.0.1", { retryStrategy: () => 20 });
    subscribers.on("error", () => {});
    const stores: Store[] = [];
    const answers = (store: Store): Promise<boolean> =>
      store.ledger.counts().then(
        () => true,
        () => false,
      );
    const reconnected = async (): Promise<void> => {
      for (const store of stores) while (!(await answers(store))) await sleep(10);
    };
    return {
      store: async () => {
        const store = Client
          ? redisStore({ client: new Client(redis.port, "127.0.0.1", { lazyConnect: true }) })
          : redisStore({ url: redis.url });
        stores.push(store);
        return store;
      },
      advance: async (ms) => {
        await sleep(ms);
      },
      presence: async (store, incarnation) => {
        const subscriber = subscribers.duplicate({ retryStrategy: () => null });
        subscriber.on("error", () => {});
        const channel = `{${store.namespace}}:presence:${incarnation}`;
        await subscriber.subscribe(channel);
        return {
          close: async () => {
            subscriber.disconnect();
            const open = async (): Promise<boolean> => Number((await subscribers.pubsub("NUMSUB", channel))[1]) > 0;
            while (await open().catch(() => false)) await sleep(5);
          },
        };
      },
      restart: async (options) => {
        await redis.restart(options);
        await reconnected();
      },
      outage: async () => {
        await redis.kill();
        return {
          end: async () => {
            await redis.restart();
            await reconnected();
          },
        };
      },
      close: async () => {
        subscribers.disconnect();
        await redis.stop();
      },
    };
  };
}

describeStore(vitest, "redisStore", openRedis());
describeStore(vitest, "redisStore, from a client of ioredis 5", openRedis(Redis5));
