import { describeAdapter, RecordingHost, until } from "@assured-jobs/core/testing";
import type { AdapterHarness, HeldMany, HeldRun, Verdict } from "@assured-jobs/core/testing";
import type { JobState } from "@assured-jobs/core";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { afterAll, beforeAll, describe, test } from "vitest";
import type { BeeAdapter } from "../src/index.ts";
import { Scene } from "./support/bee.ts";
import type { Bee } from "./support/bee.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

/** One queue object, as in a process of its own, whose handlers end when they are told to. */
class Process {
  readonly #scene: Scene;
  readonly #queue: Bee;
  readonly #host = new RecordingHost();
  readonly #ended: Promise<Verdict>;
  readonly #adapter: BeeAdapter;
  readonly #told: Promise<void>;
  #end!: { finish: () => void; fail: (error: Error) => void };

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#told = new Promise<void>((finish, fail) => (this.#end = { finish, fail }));
    this.#told.catch(() => {});
    this.#queue = scene.open();
    this.#adapter = scene.adapter({ queues: [this.#queue] });
    this.#ended = new Promise((resolve) => {
      this.#queue.on("succeeded", () => resolve("accepted"));
      this.#queue.on("failed", () => resolve("accepted"));
      this.#host.lost = () => resolve("refused");
    });
  }

  async #work(concurrency: number): Promise<void> {
    await this.#adapter.attach(this.#host);
    this.#queue.process(concurrency, ({ id }) => {
      const key = `${this.#scene.key} ${id}`;
      starts.set(key, (starts.get(key) ?? 0) + 1);
      return this.#told;
    });
  }

  async hold(id?: string): Promise<HeldRun> {
    await this.#work(1);
    const { run } = await until(`job ${id ?? ""} runs`, () => this.#host.runs[0]);
    return {
      id: run.id,
      run: run.run,
      proof: run.proof,
      holderIds: this.#adapter.holders(this.#scene.key),
      finish: () => this.#ends(this.#end.finish),
      fail: (error) => this.#ends(() => this.#end.fail(error)),
      crash: () => this.#crash(),
    };
  }

  async holdMany(count: number): Promise<HeldMany> {
    await this.#work(count);
    await until(`${count} jobs run`, () => this.#host.runs.length === count);
    return {
      ids: this.#host.runs.map(({ run }) => run.id),
      holderIds: this.#adapter.holders(this.#scene.key),
      crash: () => this.#crash(),
    };
  }

  /* It ends this one run, and fetches nothing after it. */
  async #ends(how: () => void): Promise<Verdict> {
    await this.#adapter.pause();
    how();
    return this.#ended;
  }

  /* No word reaches the server any more. */
  async #crash(): Promise<void> {
    await this.#adapter.pause();
    await this.#queue.close(1).catch(() => {});
  }
}

class Harness implements AdapterHarness {
  readonly #scene: Scene;
  readonly queue: string;
  readonly adapter: BeeAdapter;

  constructor() {
    this.#scene = new Scene(server.url, { stallInterval: 200 });
    this.queue = this.#scene.key;
    this.adapter = this.#scene.adapter();
  }

  add: AdapterHarness["add"] = async ({ id, data = {}, delay } = {}) => {
    const job = this.#scene.queue.createJob(data);
    if (id !== undefined) job.setId(id);
    if (delay !== undefined) job.delayUntil(Date.now() + delay);
    return (await job.save()).id;
  };

  start: AdapterHarness["start"] = (id) => new Process(this.#scene).hold(id);

  startMany: AdapterHarness["startMany"] = (count) => new Process(this.#scene).holdMany(count);

  runs: AdapterHarness["runs"] = async (id) => starts.get(`${this.queue} ${id}`) ?? 0;

  state: AdapterHarness["state"] = async (id) => stateOf(this.#scene, id);

  payload: AdapterHarness["payload"] = async (id) => (await this.#scene.queue.getJob(id))?.data;

  open: NonNullable<AdapterHarness["open"]> = async () => {
    const host = new RecordingHost();
    let unreported = 0;
    const worker = this.#scene.open();
    const adapter = this.#scene.adapter({ queues: [worker] });
    await adapter.attach(host);
    worker.process(async ({ id }) => {
      if (!host.runs.some(({ run, ended }) => run.id === id && !ended)) unreported++;
    });
    return { adapter, host, unreported: () => unreported };
  };

  /* As only a worker without assurance can: an assured one has no moment between fetch and claim. */
  fetchAndDie: NonNullable<AdapterHarness["fetchAndDie"]> = async () => {
    const id = await this.#scene.add();
    await this.#scene.redis.lmove(this.#scene.keys.waiting, this.#scene.keys.active, "RIGHT", "LEFT");
    return { id, holderIds: [] };
  };

  remove: NonNullable<AdapterHarness["remove"]> = async (id) => {
    await this.#scene.queue.removeJob(id);
  };

  breakRecord: NonNullable<AdapterHarness["breakRecord"]> = async (id) => {
    await this.#scene.redis.hset(this.#scene.keys.jobs, id, "{no json");
  };

  /** The scene closes everything when its test is over. */
  async close(): Promise<void> {}
}

/** How often each job was started. */
const starts = new Map<string, number>();

/* By Bee's own keys alone, and by nothing that the adapter says. */
async function stateOf({ redis, keys }: Scene, id: string): Promise<JobState> {
  if ((await redis.hexists(keys.jobs, id)) === 0) return "missing";
  if ((await redis.sismember(keys.succeeded, id)) === 1) return "finished";
  if ((await redis.sismember(keys.failed, id)) === 1) return "failed";
  return (await redis.lpos(keys.active, id)) === null ? "waiting" : "held";
}

describeAdapter({ describe, test }, "the adapter on bee-queue 2", async () => new Harness());
