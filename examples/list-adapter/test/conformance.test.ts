/* The adapter of docs/write-an-adapter.md passes the suite that every adapter must pass. */
import { describeAdapter, RecordingHost, until } from "@assured-jobs/core/testing";
import type { AdapterHarness, HeldMany, HeldRun, Verdict } from "@assured-jobs/core/testing";
import type { JobState } from "@assured-jobs/core";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listAdapter } from "../src/adapter.mjs";
import { ListQueue, ListWorker } from "../src/queue.mjs";

let server: RedisHandle;
let redis: Redis;
let serial = 0;
beforeAll(async () => {
  server = await startRedis({ own: true });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

class Harness implements AdapterHarness {
  readonly #list = new ListQueue(redis, `q${++serial}`);
  readonly #workers: ListWorker[] = [];
  readonly #starts = new Map<string, number>();
  readonly queue = `list:${this.#list.name}`;
  readonly adapter = listAdapter(this.#list);

  add: AdapterHarness["add"] = ({ id, data = {}, delay } = {}) =>
    this.#list.add(data, { ...(id !== undefined && { id }), ...(delay !== undefined && { delay }) });

  async start(): Promise<HeldRun> {
    const host = new RecordingHost();
    const ended = new Promise<Verdict>((resolve) => (host.lost = () => resolve("refused")));
    let end!: { finish: () => void; fail: (error: Error) => void };
    const told = new Promise<void>((finish, fail) => (end = { finish, fail }));
    told.catch(() => {});
    const worker = this.#worker(() => told);
    const adapter = listAdapter(this.#list, worker);
    await adapter.attach(host);
    void worker.start();
    const { run } = await until("it runs", () => host.runs[0]);
    worker.stopped = true;
    const accepted = until("it has ended", () => host.runs[0]?.ended, 600_000).then((): Verdict => "accepted");
    const verdict = (): Promise<Verdict> => Promise.race([ended, accepted]);
    return {
      id: run.id,
      run: run.run,
      proof: run.proof,
      holderIds: adapter.holders(this.queue),
      finish: () => (end.finish(), verdict()),
      fail: (error) => (end.fail(error), verdict()),
      crash: async () => {},
    };
  }

  async startMany(count: number): Promise<HeldMany> {
    const ids: string[] = [];
    while (ids.length < count) ids.push((await this.#list.fetch("many"))?.id ?? "");
    for (const id of ids) this.#count(id);
    return { ids, holderIds: ["many"], crash: async () => {} };
  }

  open: NonNullable<AdapterHarness["open"]> = async () => {
    const host = new RecordingHost();
    let unreported = 0;
    const worker = this.#worker(async ({ id }) => {
      if (!host.runs.some(({ run, ended }) => run.id === id && !ended)) unreported++;
    });
    const adapter = listAdapter(this.#list, worker);
    await adapter.attach(host);
    void worker.start();
    return { adapter, host, unreported: () => unreported };
  };

  fetchAndDie: NonNullable<AdapterHarness["fetchAndDie"]> = async () => {
    await this.#list.add({});
    const { id } = (await this.#list.fetch("died"))!;
    return { id, holderIds: ["died"] };
  };

  runs: AdapterHarness["runs"] = async (id) => this.#starts.get(id) ?? 0;

  state: AdapterHarness["state"] = async (id) => {
    const state = (await this.#list.states())[id] ?? "missing";
    const names: Record<string, JobState> = {
      finished: "finished",
      failed: "failed",
      buried: "failed",
      missing: "missing",
    };
    return state.startsWith("held:") ? "held" : (names[state] ?? "waiting");
  };

  payload: AdapterHarness["payload"] = async (id) => {
    const json = await redis.hget(String(this.#list.keys[3]), id);
    return json === null ? undefined : JSON.parse(json);
  };

  async close(): Promise<void> {
    for (const worker of this.#workers) worker.stopped = true;
  }

  #worker(handler: (job: { id: string }) => Promise<unknown>): ListWorker {
    const worker = new ListWorker(this.#list, (job) => (this.#count(job.id), handler(job)));
    this.#workers.push(worker);
    return worker;
  }

  #count(id: string): void {
    this.#starts.set(id, (this.#starts.get(id) ?? 0) + 1);
  }
}

describeAdapter({ describe, test }, "the adapter of the guide", async () => new Harness(), {
  skip: [
    {
      reason: "this small queue has no way to remove or break a record from under its holder",
      tests: [
        "a job that was removed while it was held is gone for its recoverer, and leaves nothing",
        "a record that nobody can read is out of the way: the next job runs",
      ],
    },
  ],
});

test("the guide shows this queue and this adapter as they are", async () => {
  const here = (file: string): Promise<string> => readFile(join(import.meta.dirname, file), "utf8");
  const guide = await here("../../../docs/write-an-adapter.md");
  for (const file of ["../src/queue.mjs", "../src/adapter.mjs"]) expect(guide).toContain((await here(file)).trim());
});
