import { describeAdapter, RecordingHost, until } from "@assured-jobs/core/testing";
import type { AdapterHarness, HeldMany, HeldRun, Verdict } from "@assured-jobs/core/testing";
import type { JobState } from "@assured-jobs/core";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { afterAll, beforeAll, describe, test } from "vitest";
import type { SidekiqAdapter, SidekiqWorker } from "../src/index.ts";
import { engineOf } from "../src/worker/worker.ts";
import { Scene } from "./support/scene.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const CLASS = "Conformance";

/** One worker, as in a process of its own, whose handlers end when they are told to. */
class Process {
  readonly #scene: Scene;
  readonly #worker: SidekiqWorker;
  readonly #adapter: SidekiqAdapter;
  readonly #host = new RecordingHost();
  readonly #ended: Promise<Verdict>;
  #end!: { finish: () => void; fail: (error: Error) => void };

  constructor(scene: Scene, concurrency: number) {
    this.#scene = scene;
    const told = new Promise<void>((finish, fail) => (this.#end = { finish, fail }));
    told.catch(() => {});
    const perform = ({ jid }: { jid: string }): Promise<void> => {
      const key = `${scene.key} ${jid}`;
      starts.set(key, (starts.get(key) ?? 0) + 1);
      return told;
    };
    this.#worker = scene.worker({ concurrency, handlers: { [CLASS]: perform }, pollInterval: 20 });
    this.#adapter = scene.adapter({ worker: this.#worker });
    this.#ended = new Promise((resolve) => {
      this.#worker.on("completed", () => resolve("accepted")).on("failed", () => resolve("accepted"));
      this.#host.lost = () => resolve("refused");
    });
  }

  async hold(id?: string): Promise<HeldRun> {
    await this.#work();
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
    await this.#work();
    await until(`${count} jobs run`, () => this.#host.runs.length === count);
    return {
      ids: this.#host.runs.map(({ run }) => run.id),
      holderIds: this.#adapter.holders(this.#scene.key),
      crash: () => this.#crash(),
    };
  }

  async #work(): Promise<void> {
    await this.#adapter.attach(this.#host);
    await this.#worker.start();
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
    engineOf(this.#worker)!.redis.close();
  }
}

class Harness implements AdapterHarness {
  readonly #scene: Scene;
  readonly queue: string;
  readonly adapter: SidekiqAdapter;
  readonly forgetsFinished = true;

  constructor() {
    this.#scene = new Scene(server.url);
    this.queue = this.#scene.key;
    this.adapter = this.#scene.adapter();
  }

  /* A failure is final, so that a failed job is one that its queue keeps. */
  add: AdapterHarness["add"] = async ({ id, data = {}, delay } = {}) => {
    const job = { class: CLASS, args: [data], retry: 0, ...(id === undefined ? {} : { jid: id }) };
    if (delay === undefined) return this.#scene.push(job);
    const text = this.#scene.text(job);
    await this.#scene.redis.zadd(this.#scene.keys.schedule, (Date.now() + delay) / 1_000, text);
    return (JSON.parse(text) as { jid: string }).jid;
  };

  start: AdapterHarness["start"] = (id) => new Process(this.#scene, 1).hold(id);

  startMany: AdapterHarness["startMany"] = (count) => new Process(this.#scene, count).holdMany(count);

  runs: AdapterHarness["runs"] = async (id) => starts.get(`${this.queue} ${id}`) ?? 0;

  state: AdapterHarness["state"] = async (id) => (await whereIs(this.#scene, id))?.state ?? "missing";

  payload: AdapterHarness["payload"] = async (id) => (await whereIs(this.#scene, id))?.args[0];

  open: NonNullable<AdapterHarness["open"]> = async () => {
    const host = new RecordingHost();
    let unreported = 0;
    const perform = ({ jid }: { jid: string }): void => {
      if (!host.runs.some(({ run, ended }) => run.id === jid && !ended)) unreported++;
    };
    const worker = this.#scene.worker({ concurrency: 1, handlers: { [CLASS]: perform } });
    const adapter = this.#scene.adapter({ worker });
    await adapter.attach(host);
    await worker.start();
    return { adapter, host, unreported: () => unreported };
  };

  /* By the fetch script alone: its process is gone before it has read the answer. */
  fetchAndDie: NonNullable<AdapterHarness["fetchAndDie"]> = async () => {
    const id = await this.add();
    const worker = this.#scene.worker({ concurrency: 1 });
    const adapter = this.#scene.adapter({ worker });
    const host = new RecordingHost();
    host.run = () => new Promise(() => {});
    worker.register(CLASS, () => {});
    await adapter.attach(host);
    await worker.start();
    await until("it is held", async () => Object.keys(await this.#scene.running()).length === 1);
    await adapter.pause();
    engineOf(worker)!.redis.close();
    return { id, holderIds: [engineOf(worker)!.holders[0]!] };
  };

  remove: NonNullable<AdapterHarness["remove"]> = async (id) => {
    const { running } = this.#scene.keys.queue(this.#scene.queue);
    for (const [proof, text] of Object.entries(await this.#scene.running()))
      if (text.includes(id)) await this.#scene.redis.hdel(running, proof);
  };

  breakRecord: NonNullable<AdapterHarness["breakRecord"]> = async (id) => {
    const { waiting } = this.#scene.keys.queue(this.#scene.queue);
    const texts = await this.#scene.waiting();
    await this.#scene.redis.lset(
      waiting,
      texts.findIndex((text) => text.includes(id)),
      `{no json ${id}`,
    );
  };

  /** The scene closes everything when its test is over. */
  async close(): Promise<void> {}
}

/** How often each job was started. */
const starts = new Map<string, number>();

/* By Sidekiq's keys and the record, and by nothing that the adapter says. */
async function whereIs(scene: Scene, id: string): Promise<{ state: JobState; args: unknown[] } | undefined> {
  const { redis, keys, queue } = scene;
  const places: readonly [JobState, readonly string[]][] = [
    ["waiting", await scene.waiting()],
    [
      "waiting",
      (await redis.zrange(keys.queue(queue).parked, "0", "-1")).map((one) => one.slice(one.indexOf(" ") + 1)),
    ],
    ["waiting", await redis.zrange(keys.schedule, "0", "-1")],
    ["waiting", await redis.zrange(keys.retry, "0", "-1")],
    ["held", Object.values(await scene.running())],
    ["failed", await redis.zrange(keys.dead, "0", "-1")],
  ];
  for (const [state, texts] of places) {
    for (const text of texts.filter((one) => one.startsWith('{"'))) {
      const job = JSON.parse(text) as { jid: string; args: unknown[] };
      if (job.jid === id) return { state, args: job.args };
    }
  }
  return undefined;
}

describeAdapter({ describe, test }, "the adapter on Sidekiq's keys", async () => new Harness());
