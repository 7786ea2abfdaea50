/* Two sides of one Redis: Ruby's own Sidekiq, and ours.
 *
 * Each set has a server and a console for all tests of a file. The server is emptied before each test, and what a test
 * starts ends with it. A set that this machine cannot have is skipped by name, with the reason.
 */
import { enlist } from "@assured-jobs/dev-crew";
import type { Member } from "@assured-jobs/dev-crew";
import { until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import { rubyAvailable, startRuby, startSidekiq } from "@assured-jobs/dev-ruby";
import type { ApplicationOptions, RubyConsole, RubyWorker, SetName, SidekiqOptions } from "@assured-jobs/dev-ruby";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, onTestFinished, test } from "vitest";
import { SidekiqClient } from "../../src/client/client.ts";
import type { SidekiqClientOptions } from "../../src/client/options.ts";
import { SidekiqWorker } from "../../src/index.ts";
import type { SidekiqWorkerOptions } from "../../src/index.ts";
import { Payload } from "../../src/wire/payload.ts";

const ALL: readonly SetName[] = ["sidekiq6", "sidekiq7", "sidekiq8"];
/** Installing gems may take a while. */
const PREPARING = 300_000;

export interface EachOptions extends Pick<ApplicationOptions, "namespace" | "requires"> {
  /** Default: all. Where 8 is as 7, it is left out. */
  readonly sets?: readonly SetName[];
}

/** The same promises beside each version of Sidekiq. On CI none may be missing. */
export async function eachRuby(
  define: (scene: () => Scene, set: SetName) => void,
  { sets = ALL, ...options }: EachOptions = {},
): Promise<void> {
  const looks = sets.map(async (set) => ({ set, reason: process.env["CI"] ? undefined : await rubyAvailable(set) }));
  const found = await Promise.all(looks);
  for (const { set, reason } of found) if (reason) test.skip(`${set} is not available: ${reason}`, () => {});
  const there = found.filter(({ reason }) => reason === undefined).map(({ set }) => set);
  if (there.length > 0) describe.each(there)("%s", (set) => define(prepared(set, options), set));
}

function prepared(set: SetName, options: Omit<EachOptions, "sets">): () => Scene {
  const undo: (() => Promise<unknown>)[] = [];
  let scene: Scene;
  beforeAll(async () => {
    const server = await startRedis({ own: true });
    undo.push(() => server.stop());
    const ruby = await startRuby(set, { redisUrl: server.url, ...options });
    undo.push(() => ruby.close());
    const redis = new Redis(server.url);
    undo.push(async () => redis.disconnect());
    scene = new Scene({ set, url: server.url, redis, ruby, options });
  }, PREPARING);
  beforeEach(() => scene.redis.flushall());
  afterAll(async () => {
    for (const step of undo.splice(0).toReversed()) await step();
  });
  return () => scene;
}

interface SceneParts {
  readonly set: SetName;
  readonly url: string;
  readonly redis: Redis;
  readonly ruby: RubyConsole;
  readonly options: Pick<ApplicationOptions, "namespace" | "requires">;
}

/** What a Ruby job told, and its text: JavaScript has not all of Ruby's numbers. */
export interface Told {
  readonly jid: string;
  readonly text: string;
  readonly [fact: string]: unknown;
}

export class Scene {
  readonly set: SetName;
  readonly url: string;
  readonly redis: Redis;
  readonly ruby: RubyConsole;
  readonly #options: SceneParts["options"];
  readonly #prefix: string;

  constructor({ set, url, redis, ruby, options }: SceneParts) {
    this.set = set;
    this.url = url;
    this.redis = redis;
    this.ruby = ruby;
    this.#options = options;
    this.#prefix = options.namespace === undefined ? "" : `${options.namespace}:`;
  }

  get version(): number {
    return Number(this.set.at(-1));
  }

  /**
   * A Ruby worker, as impatient as tests are. One that a test stops or quiets has a concurrency of 1: an idle thread's
   * BRPOP may take what the leaving process gives back, and be terminated with it.
   */
  async hire(options: Omit<SidekiqOptions, "redisUrl"> = {}): Promise<RubyWorker> {
    const impatient = { redisUrl: this.url, beat: 0.2, poll: 0.2 };
    const worker = await startSidekiq(this.set, { ...impatient, ...this.#options, ...options });
    onTestFinished(() => worker.kill());
    return worker;
  }

  /** A worker of ours in this process, at work. */
  async work(options: Partial<SidekiqWorkerOptions> = {}): Promise<SidekiqWorker> {
    const worker = new SidekiqWorker({ redis: this.url, prefix: this.#prefix, pollInterval: 50, ...options });
    worker.on("error", () => {}).on("warning", () => {});
    onTestFinished(() => worker.stop({ timeout: 0 }));
    await worker.start();
    return worker;
  }

  /** A process of ours; see process.mjs. Resolves once it works. */
  async enlist(given: Readonly<Record<string, unknown>> = {}): Promise<Member> {
    const env = { RUBY_TEST: JSON.stringify({ url: this.url, ...given }) };
    const cleanup = (undo: () => void | Promise<void>): void => onTestFinished(undo);
    const member = enlist(new URL("process.mjs", import.meta.url), { name: "node", env }, { log: [], cleanup });
    await member.heard("ready");
    return member;
  }

  client(options: Partial<SidekiqClientOptions> = {}): SidekiqClient {
    const client = new SidekiqClient({ redis: this.url, prefix: this.#prefix, ...options });
    onTestFinished(() => client.close());
    return client;
  }

  /** A text behind all others of a queue, as any client does it. */
  async enqueue(queue: string, ...texts: readonly (string | Buffer)[]): Promise<void> {
    const { redis } = this;
    await redis
      .multi()
      .sadd(this.key("queues"), queue)
      .lpush(this.key(`queue:${queue}`), ...texts)
      .exec();
  }

  key(name: string): string {
    return `${this.#prefix}${name}`;
  }

  /** Texts that wait, the next one first. */
  async waiting(queue = "default"): Promise<string[]> {
    return (await this.redis.lrange(this.key(`queue:${queue}`), 0, -1)).toReversed();
  }

  /** Texts of a sorted set with their scores, the lowest first. */
  async entries(set: string): Promise<{ readonly text: string; readonly score: string }[]> {
    const flat = await this.redis.zrange(this.key(set), "0", "-1", "WITHSCORES");
    return flat.flatMap((text, at) => (at % 2 === 0 ? [{ text, score: flat[at + 1]! }] : []));
  }

  /** Once a Ruby job has told something in that list. */
  heard(list: string, jid: string | null | undefined): Promise<Told> {
    return until(`${String(jid)} in ${list}`, async () => (await this.told(list)).find((told) => told.jid === jid));
  }

  async told(list: string): Promise<Told[]> {
    const texts = await this.redis.lrange(this.key(list), 0, -1);
    return texts.map((text) => ({ ...(JSON.parse(text) as Omit<Told, "text">), text }) as Told);
  }
}

/** The text of the arguments in what a job told, or in its payload. */
export const argsIn = (text: string): string => Payload.parse(text)!.raw("args")!;

/** A job as Ruby writes it; a field that is undefined is left out. */
export function jobText(fields: Readonly<Record<string, unknown>>): string {
  const base = { retry: true, queue: "default", args: [], class: "Job", jid: "0".repeat(24) };
  const times = { created_at: 1795456973.500475, enqueued_at: 1795456973.500475 };
  return JSON.stringify({ ...base, ...times, ...fields });
}
