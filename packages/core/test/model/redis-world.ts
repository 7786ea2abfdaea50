/* The world on a private Redis: one server and three connections for all runs, emptied between them.
 *
 * Nobody can set the clock of a server. But the store measures time only between two looks, from the moment of the
 * last pass that it wrote down, and leaves duties to keys that expire. So time passes when that moment is moved into
 * the past and those keys are given so much less to live: the scripts then see what they would see after real
 * waiting. What really passed comes on top, and the model allows for it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { redisStore } from "@assured-jobs/core";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { keysOf } from "../../src/redis/keys.ts";
import { DUTIES } from "./model.ts";
import type { Server } from "./world.ts";

const keys = keysOf("assured_jobs");
const PATIENCE = 20_000;

export interface RedisWorld extends Server {
  /** Back to an empty, running server with nobody present. */
  renew(): Promise<void>;
  close(): Promise<void>;
}

export async function redisWorld(): Promise<RedisWorld> {
  const redis = await startRedis({ own: true, args: ["--appendonly", "yes", "--appendfsync", "always"] });
  const client = new Redis(redis.port, "127.0.0.1", { retryStrategy: () => 20, autoResubscribe: false });
  const subscriber = client.duplicate();
  for (const one of [client, subscriber]) one.on("error", () => {}); // the server goes away on purpose
  const stores = [redisStore({ url: redis.url }), redisStore({ url: redis.url })] as const;
  for (const store of stores) await store.open();
  const server = new ServerOnRedis(redis, client, subscriber, stores);
  return server;
}

class ServerOnRedis implements RedisWorld {
  readonly runs = true;
  readonly stores: RedisWorld["stores"];
  readonly #redis: RedisHandle;
  readonly #client: Redis;
  readonly #subscriber: Redis;
  #down = false;
  /** What passed while the server was down. */
  #missed = 0;

  constructor(redis: RedisHandle, client: Redis, subscriber: Redis, stores: RedisWorld["stores"]) {
    this.#redis = redis;
    this.#client = client;
    this.#subscriber = subscriber;
    this.stores = stores;
  }

  async advance(ms: number): Promise<void> {
    if (this.#down) this.#missed += ms;
    else await Promise.all([this.#movePass(ms), ...DUTIES.map((duty) => this.#shorten(keys.duty(duty), ms))]);
  }

  async subscribe(incarnation: string): Promise<void> {
    await this.#subscriber.subscribe(keys.presence(incarnation));
  }

  async unsubscribe(incarnation: string): Promise<void> {
    await this.#subscriber.unsubscribe(keys.presence(incarnation));
  }

  async stop(): Promise<void> {
    this.#down = true;
    await this.#redis.kill();
    for (const { ledger } of this.stores) await until(() => ledger.counts().then(isFalse, isTrue)); // noticed
  }

  async start({ wipe }: { readonly wipe: boolean }): Promise<void> {
    await this.#redis.restart({ wipe });
    for (const { ledger } of this.stores) await until(() => ledger.counts().then(isTrue, isFalse));
    for (const one of [this.#client, this.#subscriber]) await until(() => one.ping().then(isTrue, isFalse));
    this.#down = false;
    await this.advance(this.#missed);
    this.#missed = 0;
  }

  async wipe(): Promise<void> {
    await this.#client.flushall();
  }

  async renew(): Promise<void> {
    if (this.#down) await this.start({ wipe: true });
    await this.#subscriber.unsubscribe();
    await this.wipe();
  }

  async close(): Promise<void> {
    for (const store of this.stores) await store.close();
    this.#client.disconnect();
    this.#subscriber.disconnect();
    await this.#redis.stop();
  }

  async #movePass(ms: number): Promise<void> {
    if (await this.#client.hexists(keys.clock, "pass")) await this.#client.hincrby(keys.clock, "pass", -ms);
  }

  async #shorten(key: string, ms: number): Promise<void> {
    const left = await this.#client.pttl(key);
    if (left < 0) return;
    if (left > ms) await this.#client.pexpire(key, left - ms);
    else await this.#client.del(key);
  }
}

const isTrue = (): boolean => true;
const isFalse = (): boolean => false;

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + PATIENCE; !(await condition()); await sleep(5)) {
    if (Date.now() > end) throw new Error(`the server did not come or go within ${PATIENCE} ms`);
  }
}
