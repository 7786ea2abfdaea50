/* The supported versions of BullMQ, and one queue of one of them in a private Redis. Everything a scene opens is
 * closed when its test is over. */
import * as six from "bullmq";
import type { JobsOptions, Processor, QueueOptions, WorkerOptions } from "bullmq";
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import { bullmqAdapter } from "../../src/index.ts";
import type { BullmqAdapter, BullmqAdapterOptions } from "../../src/index.ts";
import { queueKey } from "../../src/keys.ts";

/** BULLMQ5 names another copy of version 5, e.g. the oldest one that is supported. */
const FIVE = process.env["BULLMQ5"] ?? "bullmq5";
const five = (await import(FIVE)) as { default?: typeof six } & typeof six;

export interface Bull {
  readonly label: string;
  /** What another process has to import. */
  readonly module: string;
  readonly Queue: typeof six.Queue;
  readonly Worker: typeof six.Worker;
  readonly FlowProducer: typeof six.FlowProducer;
}

export const versions: readonly Bull[] = [
  { label: "bullmq 6", module: "bullmq", ...six },
  { label: "bullmq 5", module: FIVE, ...(five.default ?? five) },
];

let serial = 0;

export interface SceneOptions {
  readonly queue?: Partial<QueueOptions>;
}

/** One fresh queue. */
export class Scene {
  readonly bull: Bull;
  readonly url: string;
  readonly connection: { host: string; port: number };
  readonly redis: Redis;
  readonly queue: six.Queue;
  readonly key: string;

  constructor(bull: Bull, url: string, { queue = {} }: SceneOptions = {}) {
    this.bull = bull;
    this.url = url;
    const { hostname, port } = new URL(url);
    this.connection = { host: hostname, port: Number(port) };
    this.redis = new Redis(url);
    onTestFinished(() => this.redis.disconnect());
    this.queue = new bull.Queue(`q${process.pid}-${++serial}`, { connection: this.connection, ...queue });
    quietly(this.queue);
    onTestFinished(() => this.queue.close());
    this.key = queueKey(this.queue.qualifiedName);
  }

  /** Another Queue object, with a connection of its own, as another process would have. */
  sibling(): six.Queue {
    const queue = new this.bull.Queue(this.queue.name, { connection: this.connection });
    quietly(queue);
    onTestFinished(() => queue.close());
    return queue;
  }

  /** A worker with `processor`; without one it only fetches by hand. */
  worker(processor?: Processor | string, options: Partial<WorkerOptions> = {}): six.Worker {
    const plain = { connection: this.connection, drainDelay: 1, ...options };
    const worker = new this.bull.Worker(this.queue.name, processor ?? null, plain);
    quietly(worker);
    onTestFinished(() => worker.close(true));
    return worker;
  }

  adapter(options: BullmqAdapterOptions = { queues: [this.queue] }): BullmqAdapter {
    const adapter = bullmqAdapter(options);
    onTestFinished(() => adapter.detach());
    return adapter;
  }

  /** Adds jobs and lets the worker `holder` fetch them, which then never says a word again. Oldest first. */
  async hold(holder: string, jobs: readonly { name?: string; opts?: JobsOptions }[] = [{}]): Promise<string[]> {
    await this.queue.addBulk(jobs.map(({ name = "work", opts = {} }) => ({ name, data: {}, opts })));
    return this.fetch(holder, jobs.length);
  }

  /** Lets the worker `holder` fetch what waits. */
  async fetch(holder: string, count = 1): Promise<string[]> {
    const hand = this.worker();
    await hand.waitUntilReady();
    const ids: string[] = [];
    for (let n = 0; n < count; n++) {
      const job = await hand.getNextJob(`${holder}:${n}`, { block: false });
      if (job?.id !== undefined) ids.push(job.id);
    }
    return ids;
  }

  /** Key of this queue in Redis. */
  at(type: string): string {
    return `${this.queue.qualifiedName}:${type}`;
  }

  lockOf(id: string): Promise<string | null> {
    return this.redis.get(this.at(`${id}:lock`));
  }

  async lapse(...ids: readonly string[]): Promise<void> {
    await this.redis.del(...ids.map((id) => this.at(`${id}:lock`)));
  }
}

/* BullMQ tells refused finishes as `error` events; without a listener they would end the test process. */
function quietly(emitter: { on(event: "error", listener: () => void): unknown }): void {
  emitter.on("error", () => {});
}
