import { describeAdapter, RecordingHost, until } from "@assured-jobs/core/testing";
import type { AdapterHarness, HeldMany, HeldRun, Verdict } from "@assured-jobs/core/testing";
import type { JobState } from "@assured-jobs/core";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import type { Worker } from "bullmq";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, test } from "vitest";
import { Scene, versions } from "./support/bull.ts";
import type { Bull } from "./support/bull.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const STATES: Record<string, JobState> = {
  active: "held",
  completed: "finished",
  failed: "failed",
  unknown: "missing",
};

/** One worker, as in a process of its own, whose handler ends when it is told to. */
class Process {
  readonly #scene: Scene;
  readonly #worker: Worker;
  readonly #host = new RecordingHost();
  readonly #ended: Promise<Verdict>;
  #end!: { finish: () => void; fail: (error: Error) => void };

  constructor(scene: Scene) {
    this.#scene = scene;
    const told = new Promise<void>((finish, fail) => (this.#end = { finish, fail }));
    told.catch(() => {});
    this.#worker = scene.worker(() => told, { autorun: false });
    this.#ended = new Promise((resolve) => {
      for (const event of ["completed", "failed"] as const) this.#worker.on(event, () => resolve("accepted"));
      this.#host.lost = () => resolve("refused");
    });
  }

  async hold(id?: string): Promise<HeldRun> {
    const adapter = this.#scene.adapter({ workers: [this.#worker] });
    await adapter.attach(this.#host);
    void this.#worker.run();
    const { run } = await until(`job ${id ?? ""} runs`, () => this.#host.runs[0]);
    return {
      id: run.id,
      run: run.run,
      proof: run.proof,
      holderIds: adapter.holders(this.#scene.key),
      finish: () => this.#ends(this.#end.finish),
      fail: (error) => this.#ends(() => this.#end.fail(error)),
      crash: () => this.#worker.close(true),
    };
  }

  /* It ends this one run, and fetches nothing with it. */
  async #ends(how: () => void): Promise<Verdict> {
    await this.#worker.pause(true);
    how();
    return this.#ended;
  }
}

class Harness implements AdapterHarness {
  readonly #scene: Scene;
  readonly queue: string;
  readonly adapter: AdapterHarness["adapter"];

  constructor(bull: Bull) {
    this.#scene = new Scene(bull, server.url);
    this.queue = this.#scene.key;
    this.adapter = this.#scene.adapter();
  }

  add: AdapterHarness["add"] = async ({ id, name = "work", data = {}, delay, priority } = {}) => {
    const options = { jobId: id, delay, priority };
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    return (await this.#scene.queue.add(name, data, given)).id!;
  };

  start: AdapterHarness["start"] = (id) => new Process(this.#scene).hold(id);

  startMany: AdapterHarness["startMany"] = async (count): Promise<HeldMany> => {
    const holder = randomUUID();
    const ids = await this.#scene.fetch(holder, count);
    return { ids, holderIds: [holder], crash: async () => {} };
  };

  runs: AdapterHarness["runs"] = async (id) => (await this.#scene.queue.getJob(id))?.attemptsStarted ?? 0;

  state: AdapterHarness["state"] = async (id) => STATES[await this.#scene.queue.getJobState(id)] ?? "waiting";

  payload: AdapterHarness["payload"] = async (id) => (await this.#scene.queue.getJob(id))?.data;

  open: NonNullable<AdapterHarness["open"]> = async () => {
    const host = new RecordingHost();
    let unreported = 0;
    const worker = this.#scene.worker(
      async ({ id }) => {
        if (!host.runs.some(({ run, ended }) => run.id === id && !ended)) unreported++;
      },
      { autorun: false },
    );
    const adapter = this.#scene.adapter({ workers: [worker] });
    await adapter.attach(host);
    void worker.run();
    return { adapter, host, unreported: () => unreported };
  };

  fetchAndDie: NonNullable<AdapterHarness["fetchAndDie"]> = async () => {
    const holder = randomUUID();
    const [id = ""] = await this.#scene.hold(holder);
    return { id, holderIds: [holder] };
  };

  remove: NonNullable<AdapterHarness["remove"]> = async (id) => {
    await this.#scene.redis.del(this.#scene.at(id), this.#scene.at(`${id}:lock`));
  };

  /** The scene closes everything when its test is over. */
  async close(): Promise<void> {}
}

for (const bull of versions)
  describeAdapter({ describe, test }, `the adapter on ${bull.label}`, async () => new Harness(bull), {
    skip: [
      {
        reason: "BullMQ reads its records itself, in its own fetch; what it cannot read follows its own stall rule",
        tests: ["a record that nobody can read is out of the way: the next job runs"],
      },
    ],
  });
