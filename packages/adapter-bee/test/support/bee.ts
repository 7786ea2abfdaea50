/* One queue of Bee's in a private Redis. Everything a scene opens is closed when its test is over. */
import { setTimeout as sleep } from "node:timers/promises";
import BeeQueue from "bee-queue";
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import type { Cleanup } from "@assured-jobs/dev-crew";
import { beeAdapter } from "../../src/index.ts";
import type { BeeAdapter, BeeAdapterOptions } from "../../src/index.ts";
import { keysOf, queueKey } from "../../src/keys.ts";
import type { Keys } from "../../src/keys.ts";
import type { NativeQueue } from "../../src/native.ts";

let serial = 0;

/** ms. Where there is no server, nobody connects any more. */
const CONNECTING = 1_000;

const whenFinished: Cleanup = (undo) => onTestFinished(undo);

export type Bee = BeeQueue;
export type BeeOptions = BeeQueue.QueueSettings;

export const nativeOf = (queue: Bee): NativeQueue => queue as unknown as NativeQueue;

/** One fresh queue. `queue` is its producer, and works on nothing. */
export class Scene {
  readonly url: string;
  readonly name: string = `q${process.pid}-${++serial}`;
  readonly redis: Redis;
  readonly queue: Bee;
  readonly key: string;
  readonly keys: Keys;

  readonly #cleanup: Cleanup;

  /** `cleanup`: for tests that run side by side, the hook of their own context. */
  constructor(url: string, options: BeeOptions = {}, cleanup: Cleanup = whenFinished) {
    this.url = url;
    this.#cleanup = cleanup;
    this.redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    this.redis.on("error", () => {});
    cleanup(() => this.redis.disconnect());
    this.queue = this.open({ isWorker: false, getEvents: false, ...options });
    this.key = queueKey(nativeOf(this.queue));
    this.keys = keysOf(nativeOf(this.queue));
  }

  /** Another Queue object, with connections of its own, as another process would have. */
  open(options: BeeOptions = {}): Bee {
    const queue = new BeeQueue(this.name, { redis: this.url as never, getEvents: false, ...options });
    queue.on("error", () => {});
    this.#cleanup(async () => {
      await Promise.race([queue.ready().catch(() => {}), sleep(CONNECTING)]); // Bee cannot be closed before
      await queue.close(1).catch(() => {});
    });
    return queue;
  }

  adapter(options: BeeAdapterOptions = { queues: [this.queue] }): BeeAdapter {
    const adapter = beeAdapter(options);
    this.#cleanup(() => adapter.detach());
    return adapter;
  }

  /** Adds a job and returns its id. */
  async add(data: unknown = {}, id?: string): Promise<string> {
    const job = this.queue.createJob(data);
    if (id !== undefined) job.setId(id);
    return (await job.save()).id;
  }

  waiting(): Promise<string[]> {
    return this.redis.lrange(this.keys.waiting, 0, -1);
  }

  active(): Promise<string[]> {
    return this.redis.lrange(this.keys.active, 0, -1);
  }

  owners(): Promise<Record<string, string>> {
    return this.redis.hgetall(this.keys.owner);
  }
}
