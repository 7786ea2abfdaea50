/* Sidekiq's keys in a private Redis, with a prefix of its own. Everything a scene opens is closed when its test is over. */
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import { sidekiqAdapter, SidekiqWorker } from "../../src/index.ts";
import type { SidekiqAdapter, SidekiqAdapterOptions, SidekiqWorkerOptions } from "../../src/index.ts";
import { keysWith, queueKey } from "../../src/keys.ts";
import type { Keys } from "../../src/keys.ts";

let serial = 0;

export interface JobInput {
  readonly class?: string;
  readonly args?: readonly unknown[];
  readonly jid?: string;
  readonly [field: string]: unknown;
}

export class Scene {
  readonly url: string;
  readonly prefix: string = `t${process.pid}-${++serial}:`;
  readonly queue = "default";
  readonly redis: Redis;
  readonly keys: Keys;
  readonly key: string;
  #jobs = 0;

  constructor(url: string) {
    this.url = url;
    this.redis = new Redis(url);
    onTestFinished(() => this.redis.disconnect());
    this.keys = keysWith(this.prefix);
    this.key = queueKey(this.prefix, this.queue);
  }

  worker(options: Partial<SidekiqWorkerOptions> = {}): SidekiqWorker {
    const worker = new SidekiqWorker({ redis: this.url, prefix: this.prefix, ...options });
    worker.on("error", () => {}).on("warning", () => {});
    onTestFinished(() => worker.stop({ timeout: 0 }));
    return worker;
  }

  adapter(options: Partial<SidekiqAdapterOptions> = { queues: [this.queue] }): SidekiqAdapter {
    const adapter = sidekiqAdapter({ redis: this.url, prefix: this.prefix, ...options });
    onTestFinished(() => adapter.detach());
    return adapter;
  }

  /** The text of a job as Ruby writes it. */
  text({ class: name = "Job", args = [], jid = this.#newJid(), ...fields }: JobInput = {}): string {
    const base = { retry: true, queue: this.queue, class: name, args, jid, created_at: 1795456973.500475 };
    return JSON.stringify({ ...base, enqueued_at: 1795456973.500475, ...fields });
  }

  /** Pushes a job as Ruby does; returns its jid. */
  async push(job: JobInput = {}): Promise<string> {
    const text = this.text(job);
    const { jid, queue } = JSON.parse(text) as { jid: string; queue: string };
    await this.redis.multi().sadd(this.keys.queues, queue).lpush(this.keys.queue(queue).waiting, text).exec();
    return jid;
  }

  waiting(queue: string = this.queue): Promise<string[]> {
    return this.redis.lrange(this.keys.queue(queue).waiting, 0, -1);
  }

  running(queue: string = this.queue): Promise<Record<string, string>> {
    return this.redis.hgetall(this.keys.queue(queue).running);
  }

  #newJid(): string {
    return `${serial}-${++this.#jobs}`.padStart(24, "0");
  }
}
