/* A client, and what it left in its own corner of Redis. */
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import { SidekiqClient } from "../../../src/client/client.ts";
import type { SidekiqClientOptions } from "../../../src/client/options.ts";

let scenes = 0;

export class Scene {
  readonly redis: Redis;
  readonly prefix: string = `scene${++scenes}:`;
  readonly client: SidekiqClient;
  readonly #url: string;

  constructor(url: string, options: Partial<SidekiqClientOptions> = {}) {
    this.#url = url;
    this.redis = new Redis(url);
    this.client = this.another(options);
    onTestFinished(() => this.redis.disconnect());
  }

  another(options: Partial<SidekiqClientOptions> = {}): SidekiqClient {
    const client = new SidekiqClient({ redis: this.#url, prefix: this.prefix, ...options });
    onTestFinished(() => client.close());
    return client;
  }

  /** Texts of a queue, the next one first. */
  async queue(name = "default"): Promise<string[]> {
    return (await this.redis.lrange(`${this.prefix}queue:${name}`, 0, -1)).toReversed();
  }

  async jobs(name?: string): Promise<Record<string, unknown>[]> {
    return (await this.queue(name)).map((text) => JSON.parse(text) as Record<string, unknown>);
  }

  /** Text and score, by score. */
  async schedule(): Promise<{ text: string; score: string }[]> {
    const flat = await this.redis.zrange(`${this.prefix}schedule`, "0", "-1", "WITHSCORES");
    return flat.flatMap((text, at) => (at % 2 === 0 ? [{ text, score: flat[at + 1]! }] : []));
  }

  queues(): Promise<string[]> {
    return this.redis.smembers(`${this.prefix}queues`);
  }
}
