/* A fleet of real processes on Sidekiq's queues in a private Redis, and what they told before they died. */
import { createAssurance, redisStore } from "@assured-jobs/core";
import type { Assurance, AssuranceOptions, Store } from "@assured-jobs/core";
import { until } from "@assured-jobs/core/testing";
import { enlist } from "@assured-jobs/dev-crew";
import type { Member, Told } from "@assured-jobs/dev-crew";
import { startProxy } from "@assured-jobs/dev-proxy";
import type { ProxyHandle } from "@assured-jobs/dev-proxy";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { onTestFinished } from "vitest";
import type { SidekiqAdapterOptions, SidekiqWorkerOptions } from "../../src/index.ts";
import { keysWith, queueKey } from "../../src/keys.ts";
import { Scene } from "../support/scene.ts";
import type { JobInput } from "../support/scene.ts";
import { Record } from "./record.ts";
import type { End } from "./record.ts";

export type { Member, Told } from "@assured-jobs/dev-crew";

export interface ProcessOptions {
  readonly name?: string;
  /** 0: a process that recovers without working. */
  readonly concurrency?: number;
  readonly queues?: readonly string[];
  readonly worker?: Partial<SidekiqWorkerOptions>;
  readonly adapter?: Partial<SidekiqAdapterOptions>;
  /** Null: the defaults of the library. */
  readonly assurance?: AssuranceOptions | null;
  /** A worker without assurance. */
  readonly bare?: boolean;
  /** Its own way to the queue. */
  readonly url?: string;
  /** Dies after this many steps of a recovery. */
  readonly dieAfter?: number;
  /** Its wall clock is wrong by this much, ms. */
  readonly clockShift?: number;
}

/** Fast enough for a test, and in the proportions of the defaults. */
const QUICK: AssuranceOptions = {
  heartbeatInterval: 200,
  heartbeatTtl: 1_500,
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
  readonly record: Record;
  readonly log: Told[] = [];
  readonly cleanup = onTestFinished;

  constructor({ redis, scene, store, record }: Pick<Fleet, "redis" | "scene" | "store" | "record">) {
    this.redis = redis;
    this.scene = scene;
    this.store = store;
    this.record = record;
  }

  async spawn(options: ProcessOptions = {}): Promise<Member> {
    const member = this.launch(options);
    const { incarnation = "" } = (await member.heard("ready", undefined, START)) as { incarnation?: string };
    member.incarnation = incarnation;
    return member;
  }

  /** Like spawn, without waiting until it is ready: it may die before. */
  launch({ name = `w${++serial}`, assurance = {}, ...rest }: ProcessOptions = {}): Member {
    const options = assurance === null ? { name } : { ...QUICK, name, ...assurance };
    const { url } = this.redis;
    const { prefix, queue } = this.scene;
    const given = { url, storeUrl: url, prefix, queues: [queue], concurrency: 1, ...rest, assurance: options };
    const program = new URL("./process.mjs", import.meta.url);
    return enlist(program, { name, env: { CRASH_TEST: JSON.stringify(given) } }, this);
  }

  /** A job whose handler works for a minute; `data` is its argument. */
  add(data: object = {}, fields: JobInput = {}): Promise<string> {
    return this.scene.push({ args: [{ ms: 60_000, ...data }], ...fields });
  }

  /** Many at once; returns their jids. */
  async addMany(count: number, data: object = {}, fields: JobInput = {}): Promise<string[]> {
    const { redis, keys, queue } = this.scene;
    const texts = Array.from({ length: count }, () => this.scene.text({ args: [{ ms: 60_000, ...data }], ...fields }));
    await redis.sadd(keys.queues, queue);
    for (let at = 0; at < count; at += 1_000)
      await redis.lpush(keys.queue(queue).waiting, ...texts.slice(at, at + 1_000));
    return texts.map(jidOf);
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

  /** The ends of a job that Redis accepted, by what it carried out. */
  accepted(id: string): readonly End[] {
    return this.record.ends(id);
  }

  async ended(ids: readonly string[], timeout = 60_000): Promise<void> {
    await until(`${ids.length} jobs have ended`, () => ids.every((id) => this.accepted(id).length > 0), timeout);
  }

  /** Jids of jobs that wait, the next one first. */
  async waiting(): Promise<string[]> {
    return (await this.scene.waiting()).map(jidOf).toReversed();
  }

  deadSet(): Promise<string[]> {
    return this.scene.redis.zrange(this.scene.keys.dead, "0", "-1");
  }

  /** How often the job was given back, when all cases are closed. */
  async recoveries(id: string): Promise<number> {
    await until("all cases are closed", async () => (await this.store.ledger.counts()).pending === 0);
    const { items } = await this.store.ledger.history("recoveries", { limit: 1_000 });
    return items.filter((event) => event.job === id && event.type === "orphan.recovered").length;
  }

  /** Deaths that were charged to the job. */
  deaths(id: string): Promise<number> {
    return this.store.casebook.deaths(this.scene.key, id, 1e9);
  }

  /** Everything that Sidekiq and we keep of jobs that have not ended. */
  async leftovers(): Promise<unknown> {
    const { redis, keys, queue } = this.scene;
    const { waiting, running, parked } = keys.queue(queue);
    return {
      waiting: await redis.llen(waiting),
      running: await redis.hlen(running),
      parked: await redis.zcard(parked),
      retry: await redis.zcard(keys.retry),
      dead: await redis.zcard(keys.dead),
    };
  }

  /** A path to the queue that the test can break. */
  async path(): Promise<ProxyHandle> {
    const proxy = await startProxy({ target: this.redis.port });
    onTestFinished(() => proxy.stop());
    return proxy;
  }

  /** An observer in this process. */
  async observe(): Promise<Assurance> {
    const store = redisStore({ url: this.redis.url });
    const assurance = createAssurance({ role: "observer", store, adapters: [this.scene.adapter()] });
    await assurance.start({ required: true });
    this.cleanup(async () => void (await assurance.stop()));
    return assurance;
  }
}

export const jidOf = (text: string): string => (JSON.parse(text) as { jid: string }).jid;

export const NOTHING = { waiting: 0, running: 0, parked: 0, retry: 0, dead: 0 };

/** A process that holds `count` jobs in its handlers, and their ids. */
export async function holding(fleet: Fleet, count: number, options: ProcessOptions = {}): Promise<[Member, string[]]> {
  const holder = await fleet.spawn({ ...options, concurrency: count });
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await fleet.add());
  for (const id of ids) await fleet.started(id, 1);
  return [holder, ids];
}

export interface FleetOptions {
  /** Default: a private one without persistence. */
  readonly redis?: RedisHandle;
  /** Sidekiq's own keys, for Ruby beside. */
  readonly withoutPrefix?: boolean;
}

export async function openFleet({ redis: given, withoutPrefix = false }: FleetOptions = {}): Promise<Fleet> {
  const redis = given ?? (await startRedis({ own: true }));
  onTestFinished(() => redis.stop());
  const scene = new Scene(redis.url);
  if (withoutPrefix) Object.assign(scene, { prefix: "", keys: keysWith(""), key: queueKey("", scene.queue) });
  scene.redis.on("error", () => {});
  const record = await Record.open(scene);
  const store = redisStore({ url: redis.url });
  await store.open();
  onTestFinished(() => store.close());
  return new Fleet({ redis, scene, store, record });
}
