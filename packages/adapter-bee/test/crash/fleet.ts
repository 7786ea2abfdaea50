/* A fleet of real processes on one Bee queue in a private Redis, and what they told before they died. */
import { redisStore } from "@assured-jobs/core";
import type { AssuranceOptions, Store } from "@assured-jobs/core";
import { until } from "@assured-jobs/core/testing";
import { enlist } from "@assured-jobs/dev-crew";
import type { Member, Told } from "@assured-jobs/dev-crew";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import { Scene } from "../support/bee.ts";
import type { Bee, BeeOptions } from "../support/bee.ts";

export type { Member } from "@assured-jobs/dev-crew";

export interface ProcessOptions {
  readonly name?: string;
  /** 0: a process that recovers without working. */
  readonly concurrency?: number;
  readonly settings?: BeeOptions;
  readonly adapter?: { readonly unclaimed: "sweep" };
  /** Null: the defaults of the library. */
  readonly assurance?: AssuranceOptions | null;
  /** A worker without assurance. */
  readonly bare?: boolean;
  readonly byDone?: boolean;
  /** Calls Bee's own stall check so often, ms. */
  readonly checkEvery?: number;
  /** Dies after this many steps of a recovery. */
  readonly dieAfter?: number;
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

export class Fleet {
  readonly redis: RedisHandle;
  readonly scene: Scene;
  readonly store: Store;
  readonly log: Told[] = [];
  readonly cleanup = onTestFinished;
  /** Bee's events as the queue's store published them, one for each end that was accepted. */
  readonly events: { id: string; event: string; data: unknown }[] = [];

  constructor(redis: RedisHandle, scene: Scene, store: Store) {
    this.redis = redis;
    this.scene = scene;
    this.store = store;
  }

  get queue(): Bee {
    return this.scene.queue;
  }

  async spawn(options: ProcessOptions = {}): Promise<Member> {
    const member = this.launch(options);
    const { incarnation = "" } = (await member.heard("ready", undefined, START)) as { incarnation?: string };
    member.incarnation = incarnation;
    return member;
  }

  /** Like spawn, without waiting until it is ready: it may die before. */
  launch({ name = `w${++serial}`, concurrency = 1, assurance = {}, ...rest }: ProcessOptions = {}): Member {
    const options = assurance === null ? { name } : { ...QUICK, name, ...assurance };
    const given = { url: this.redis.url, queue: this.scene.name, concurrency, ...rest, assurance: options };
    const program = new URL("./process.mjs", import.meta.url);
    return enlist(program, { name, env: { CRASH_TEST: JSON.stringify(given) } }, this);
  }

  async add(data: object = {}, shape: (job: ReturnType<Bee["createJob"]>) => unknown = () => {}): Promise<string> {
    const job = this.queue.createJob({ ms: 60_000, ...data });
    shape(job);
    return (await job.save()).id;
  }

  starts(id: string): Told[] {
    return this.told("started").filter((told) => told.id === id);
  }

  /** Waits until the job was started so many times. */
  started(id: string, times: number): Promise<Told> {
    return until(`job ${id} starts for the ${times}. time`, () => this.starts(id)[times - 1]);
  }

  told(type: string): Told[] {
    return this.log.filter((told) => told.type === type);
  }

  accepted(id: string, event = "succeeded"): unknown[] {
    return this.events.filter((one) => one.id === id && one.event === event).map(({ data }) => data);
  }

  async succeeded(ids: readonly string[], timeout = 60_000): Promise<void> {
    await until(`${ids.length} jobs have succeeded`, () => ids.every((id) => this.accepted(id).length > 0), timeout);
  }

  /** How often the job was given back, when all cases are closed. */
  async recoveries(id: string): Promise<number> {
    await until("all cases are closed", async () => (await this.store.ledger.counts()).pending === 0);
    const { items } = await this.store.ledger.history("recoveries", { limit: 1_000 });
    return items.filter((event) => event.job === id && event.type === "orphan.recovered").length;
  }

  /** Everything that Bee and we keep of jobs that have not ended. */
  async leftovers(): Promise<unknown> {
    const { redis, keys } = this.scene;
    return {
      waiting: await redis.llen(keys.waiting),
      active: await redis.llen(keys.active),
      owned: await redis.hlen(keys.owner),
      parked: await redis.zcard(keys.parked),
      stalling: await redis.scard(keys.stalling),
    };
  }
}

export const NOTHING = { waiting: 0, active: 0, owned: 0, parked: 0, stalling: 0 };

/** `settings` are those of the producer. */
export async function openFleet(settings: BeeOptions = {}): Promise<Fleet> {
  const redis = await startRedis({ own: true });
  onTestFinished(() => redis.stop());
  const store = redisStore({ url: redis.url });
  await store.open();
  onTestFinished(() => store.close());
  const fleet = new Fleet(redis, new Scene(redis.url, settings), store);
  await fleet.queue.ready();
  const subscriber = new Redis(redis.url);
  onTestFinished(() => subscriber.disconnect());
  subscriber.on("message", (_, message: string) => fleet.events.push(JSON.parse(message)));
  await subscriber.subscribe(fleet.scene.keys.channels.events);
  return fleet;
}
