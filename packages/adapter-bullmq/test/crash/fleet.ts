/* A fleet of real processes on one BullMQ queue in a private Redis, and what they told before they died. */
import { enlist } from "@assured-jobs/dev-crew";
import type { Cleanup, Member, Told } from "@assured-jobs/dev-crew";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { createAssurance, redisStore } from "@assured-jobs/core";
import type { Assurance, AssuranceOptions, Store } from "@assured-jobs/core";
import { bullmqAdapter } from "@assured-jobs/adapter-bullmq";
import { Queue } from "bullmq";
import type { JobsOptions, WorkerOptions } from "bullmq";
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import { until } from "@assured-jobs/core/testing";

export interface ProcessOptions {
  readonly name?: string;
  /** Null: a process that recovers without working. */
  readonly worker?: Partial<WorkerOptions> | null;
  readonly assurance?: AssuranceOptions;
  /** Dies after this many steps of a recovery. */
  readonly dieAfter?: number;
  /** Its wall clock is wrong by this much, ms. */
  readonly clockShift?: number;
  /** More queues that it works on, with handlers of the same kind. */
  readonly further?: readonly string[];
  /** Its own way to Redis. */
  readonly url?: string;
  /** Another way to the store than to the queue. */
  readonly storeUrl?: string;
  /** Options of ioredis instead of a url, e.g. Sentinels. */
  readonly server?: object;
  /** Nodes of a Cluster instead of a url. */
  readonly nodes?: readonly object[];
  /** Its connection options hold a function, so its pulse cannot have a thread. */
  readonly withoutThread?: boolean;
  /** It does not start without the store. */
  readonly required?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** Fast enough for a test, and in the proportions of the defaults. */
const QUICK: AssuranceOptions = {
  heartbeatInterval: 200,
  heartbeatTtl: 1_000,
  presenceGrace: 200,
  lookInterval: 50,
  recoveryInterval: 100,
};

/** A process may take this long to start where many others do, ms. */
const START = 60_000;

let serial = 0;

export type { Cleanup, Member, Told } from "@assured-jobs/dev-crew";

const whenFinished: Cleanup = (undo) => onTestFinished(undo);

export class Fleet {
  readonly redis: RedisHandle;
  readonly queue: Queue;
  readonly store: Store;
  readonly log: Told[] = [];
  readonly key: string;
  readonly cleanup: Cleanup;

  constructor(redis: RedisHandle, queue: Queue, store: Store, cleanup: Cleanup = whenFinished) {
    this.redis = redis;
    this.queue = queue;
    this.store = store;
    this.cleanup = cleanup;
    this.key = `bullmq:${queue.qualifiedName}`;
  }

  async spawn({ name, worker = {}, assurance = {}, ...rest }: ProcessOptions = {}): Promise<Member> {
    const member = this.launch({ ...(name === undefined ? {} : { name }), worker, assurance, ...rest });
    member.incarnation =
      ((await member.heard("ready", undefined, START)) as { incarnation?: string }).incarnation ?? "";
    return member;
  }

  /** Like spawn, without waiting until it is ready: it may die before. */
  launch({ name = `w${++serial}`, worker = {}, assurance = {}, env = {}, ...rest }: ProcessOptions = {}): Member {
    const given = {
      url: this.redis.url,
      queue: this.queue.name,
      worker,
      ...rest,
      assurance: { ...QUICK, name, ...assurance },
    };
    const program = new URL("./process.mjs", import.meta.url);
    return enlist(program, { name, env: { ...env, CRASH_TEST: JSON.stringify(given) } }, this);
  }

  async add(data: object = {}, opts: JobsOptions = {}): Promise<string> {
    const job = await this.queue.add("job", { ms: 60_000, ...data }, opts);
    return job.id!;
  }

  addUnique(data: object): Promise<string> {
    return this.add(data, { jobId: `unique-${++serial}` });
  }

  stateOf(id: string): Promise<string> {
    return this.queue.getJobState(id);
  }

  async isDone(id: string): Promise<boolean> {
    return (await this.stateOf(id)) === "completed";
  }

  starts(id: string): Told[] {
    return this.log.filter((told) => told.type === "started" && told.id === id);
  }

  /** Waits until the job was started so many times. */
  started(id: string, times: number): Promise<Told> {
    return until(`job ${id} starts for the ${times}. time`, () => this.starts(id)[times - 1]);
  }

  told(type: string): Told[] {
    return this.log.filter((told) => told.type === type);
  }

  /** How often each job's end was accepted, by the queue's own record. */
  async accepted(): Promise<Map<string, number>> {
    const client = new Redis(this.redis.port);
    const entries = await client.xrange(`${this.queue.qualifiedName}:events`, "-", "+");
    client.disconnect();
    const counts = new Map<string, number>();
    for (const [, fields] of entries) {
      const field = (name: string): string => fields[fields.indexOf(name) + 1] ?? "";
      if (field("event") === "completed") counts.set(field("jobId"), (counts.get(field("jobId")) ?? 0) + 1);
    }
    return counts;
  }

  /** An observer in this process. */
  async observe(): Promise<Assurance> {
    const assurance = createAssurance({
      role: "observer",
      store: redisStore({ url: this.redis.url }),
      adapters: [bullmqAdapter({ queues: [this.queue] })],
    });
    await assurance.start({ required: true });
    this.cleanup(async () => void (await assurance.stop()));
    return assurance;
  }

  async completed(count: number, timeout = 60_000): Promise<void> {
    await until(`${count} jobs are completed`, async () => (await this.queue.getCompletedCount()) >= count, timeout);
  }
}

export interface FleetOptions {
  /** For tests that run side by side: the hook of their own context. */
  readonly cleanup?: Cleanup;
  /** Default: a private one without persistence. */
  readonly redis?: RedisHandle;
}

export async function openFleet(
  queueName = `crash-${process.pid}-${++serial}`,
  { cleanup = whenFinished, redis: given }: FleetOptions = {},
): Promise<Fleet> {
  const redis = given ?? (await startRedis({ own: true }));
  cleanup(() => redis.stop());
  const queue = new Queue(queueName, {
    connection: { host: "127.0.0.1", port: redis.port },
    streams: { events: { maxLen: 1_000_000 } },
  });
  queue.on("error", () => {});
  cleanup(() => queue.close());
  const store = redisStore({ url: redis.url });
  await store.open();
  cleanup(() => store.close());
  return new Fleet(redis, queue, store, cleanup);
}
