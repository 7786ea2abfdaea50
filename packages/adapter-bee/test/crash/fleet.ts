/* A fleet of real processes on one Bee queue in a private Redis, and what they told before they died. */
import { createAssurance, redisStore } from "@assured-jobs/core";
import type { Assurance, AssuranceOptions, Store } from "@assured-jobs/core";
import { until } from "@assured-jobs/core/testing";
import { enlist } from "@assured-jobs/dev-crew";
import type { Cleanup, Member, Told } from "@assured-jobs/dev-crew";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import { beeAdapter } from "../../src/index.ts";
import { Scene } from "../support/bee.ts";
import type { Bee, BeeOptions } from "../support/bee.ts";

export type { Cleanup, Member } from "@assured-jobs/dev-crew";

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
  readonly env?: Readonly<Record<string, string>>;
  /** It calls process() before it is assured, and becomes so when that many jobs have succeeded. */
  readonly early?: number;
  /** Works on another queue of the same Redis. */
  readonly queue?: string;
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

const whenFinished: Cleanup = (undo) => onTestFinished(undo);

export class Fleet {
  readonly redis: RedisHandle;
  readonly scene: Scene;
  readonly store: Store;
  readonly log: Told[] = [];
  readonly cleanup: Cleanup;
  /** Bee's events as the queue's store published them, one for each end that was accepted. */
  readonly events: { id: string; event: string; data: unknown }[] = [];

  constructor(redis: RedisHandle, scene: Scene, store: Store, cleanup: Cleanup = whenFinished) {
    this.redis = redis;
    this.scene = scene;
    this.store = store;
    this.cleanup = cleanup;
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
  launch({ name = `w${++serial}`, concurrency = 1, assurance = {}, env = {}, ...rest }: ProcessOptions = {}): Member {
    const options = assurance === null ? { name } : { ...QUICK, name, ...assurance };
    const given = { url: this.redis.url, queue: this.scene.name, concurrency, ...rest, assurance: options };
    const program = new URL("./process.mjs", import.meta.url);
    return enlist(program, { name, env: { ...env, CRASH_TEST: JSON.stringify(given) } }, this);
  }

  async add(data: object = {}, shape: (job: ReturnType<Bee["createJob"]>) => unknown = () => {}): Promise<string> {
    const job = this.queue.createJob({ ms: 60_000, ...data });
    shape(job);
    return (await job.save()).id;
  }

  addUnique(data: object): Promise<string> {
    return this.add(data, (job) => job.setId(`unique-${++serial}`));
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

  /** What producers were told of the job's ends. Lost while the server is away: see accepted(). */
  ends(id: string, event = "succeeded"): unknown[] {
    return this.events.filter((one) => one.id === id && one.event === event).map(({ data }) => data);
  }

  async succeeded(ids: readonly string[], timeout = 60_000): Promise<void> {
    await until(`${ids.length} jobs have succeeded`, () => ids.every((id) => this.ends(id).length > 0), timeout);
  }

  async isDone(id: string): Promise<boolean> {
    return (await this.scene.redis.sismember(this.scene.keys.succeeded, id)) === 1;
  }

  /** How often each job's success was accepted, by the workers that were told so. */
  async accepted(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const { id = "" } of this.told("succeeded")) counts.set(id, (counts.get(id) ?? 0) + 1);
    return counts;
  }

  /** An observer in this process. */
  async observe(): Promise<Assurance> {
    const queue = this.scene.open({ isWorker: false });
    const assurance = createAssurance({
      role: "observer",
      store: redisStore({ url: this.redis.url }),
      adapters: [beeAdapter({ queues: [queue] })],
    });
    await assurance.start({ required: true });
    this.cleanup(async () => void (await assurance.stop()));
    return assurance;
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

export interface FleetOptions {
  /** For tests that run side by side: the hook of their own context. */
  readonly cleanup?: Cleanup;
  /** Default: a private one without persistence. */
  readonly redis?: RedisHandle;
}

/** `settings` are those of the producer. */
export async function openFleet(
  settings: BeeOptions = {},
  { cleanup = whenFinished, redis: given }: FleetOptions = {},
): Promise<Fleet> {
  const redis = given ?? (await startRedis({ own: true }));
  cleanup(() => redis.stop());
  const store = redisStore({ url: redis.url });
  await store.open();
  cleanup(() => store.close());
  const fleet = new Fleet(redis, new Scene(redis.url, settings, cleanup), store, cleanup);
  await fleet.queue.ready();
  fleet.scene.adapter(); // its scripts and its connection are mended like everybody's
  const subscriber = new Redis(redis.url, { retryStrategy: () => 50 });
  subscriber.on("error", () => {});
  cleanup(() => subscriber.disconnect());
  subscriber.on("message", (_, message: string) => fleet.events.push(JSON.parse(message)));
  await subscriber.subscribe(fleet.scene.keys.channels.events);
  return fleet;
}
