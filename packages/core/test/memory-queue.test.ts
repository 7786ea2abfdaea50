import assert from "node:assert/strict";
import * as vitest from "vitest";
import { describe, expect, test } from "vitest";
import type { AdapterHost, Run, RunControl } from "../src/adapter.ts";
import { AssuranceError } from "../src/errors.ts";
import { describeAdapter, memoryAdapter, memoryQueue, RecordingHost } from "../src/testing/index.ts";
import type {
  AdapterHarness,
  HeldJob,
  HeldMany,
  HeldRun,
  MemoryQueue,
  OpenProcess,
  Verdict,
} from "../src/testing/index.ts";

/** A host that keeps no claims: it runs what it is told to, and notes what it hears. */
function plainHost(): AdapterHost & { readonly lostRuns: Run[]; readonly ended: Promise<void>; changes: number } {
  const lostRuns: Run[] = [];
  const { promise: ended, resolve } = defer<void>();
  return {
    lostRuns,
    ended,
    changes: 0,
    joined: Promise.resolve(),
    run: (_run, execute) => execute(controlOf(new AbortController().signal)).finally(resolve),
    lost: (run) => void lostRuns.push(run),
    async changed() {
      this.changes++;
    },
    warn: () => {},
  };
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

function defer<T>(): Deferred<T> {
  let settle!: Pick<Deferred<T>, "resolve" | "reject">;
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
  promise.catch(() => {});
  return { promise, ...settle };
}

/** One process that fetches a single job and waits to be told how it ends. */
async function startOne(queue: MemoryQueue, host = plainHost()): Promise<HeldRun> {
  const started = defer<HeldJob>();
  const end = defer<void>();
  const adapter = memoryAdapter({
    queue,
    process: (job) => {
      started.resolve(job);
      return end.promise;
    },
  });
  await adapter.attach(host);
  const { id, run, proof } = await started.promise;
  await adapter.pause();
  const verdict = async (): Promise<Verdict> => {
    await host.ended.catch(() => {});
    await adapter.detach();
    return host.lostRuns.length === 0 ? "accepted" : "refused";
  };
  return {
    id,
    run,
    proof,
    holderIds: adapter.holders(queue.key),
    finish: () => (end.resolve(), verdict()),
    fail: (error) => (end.reject(error), verdict()),
    crash: async () => adapter.crash(),
  };
}

async function startMany(queue: MemoryQueue, count: number): Promise<HeldMany> {
  const ids: string[] = [];
  const all = defer<void>();
  const adapter = memoryAdapter({
    queue,
    concurrency: count,
    process: ({ id }) => {
      if (ids.push(id) === count) all.resolve();
      return new Promise(() => {});
    },
  });
  await adapter.attach(plainHost());
  await all.promise;
  return { ids, holderIds: adapter.holders(queue.key), crash: async () => adapter.crash() };
}

async function openMemoryQueue(): Promise<AdapterHarness> {
  const queue = memoryQueue();
  const adapter = memoryAdapter({ queue });
  return {
    queue: queue.key,
    adapter,
    add: async ({ data, ...options } = {}) => queue.add(data, options),
    start: () => startOne(queue),
    startMany: (count) => startMany(queue, count),
    runs: async (id) => queue.get(id)?.run ?? 0,
    state: (id) => adapter.state(queue.key, id),
    payload: async (id) => queue.get(id)?.data,
    open: () => openProcess(queue),
    fetchAndDie: async () => {
      const holder = "died before its handler";
      queue.add({});
      return { id: queue.fetch(holder)?.id ?? "", holderIds: [holder] };
    },
    close: () => adapter.detach(),
  };
}

async function openProcess(queue: MemoryQueue): Promise<OpenProcess> {
  const host = new RecordingHost();
  let unreported = 0;
  const adapter = memoryAdapter({
    queue,
    process: async ({ id }) => {
      if (!host.runs.some(({ run, ended }) => run.id === id && !ended)) unreported++;
    },
  });
  await adapter.attach(host);
  return { adapter, host, unreported: () => unreported };
}

/** What core would say to a run, by a signal. */
const controlOf = (signal: AbortSignal): RunControl => ({
  get givenUp() {
    return signal.aborted ? (signal.reason as Error) : undefined;
  },
  onGivenUp: (listener) => signal.addEventListener("abort", () => listener(signal.reason as Error)),
  signal,
});

describeAdapter(vitest, "memoryAdapter", openMemoryQueue, {
  skip: [
    {
      reason: "a memory queue keeps objects: nobody can remove or break one from under it",
      tests: [
        "a job that was removed while it was held is gone for its recoverer, and leaves nothing",
        "a record that nobody can read is out of the way: the next job runs",
      ],
    },
  ],
});

describe("the process of memoryAdapter", () => {
  test("it runs as many jobs at once as it was told to, each through its host", async () => {
    const queue = memoryQueue();
    for (let i = 0; i < 5; i++) queue.add(i, { id: `${i}` });
    const runs: Run[] = [];
    let running = 0;
    let most = 0;
    const adapter = memoryAdapter({
      queue,
      concurrency: 2,
      process: async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running--;
      },
    });
    await adapter.attach({
      ...plainHost(),
      run: (run, execute) => (runs.push(run), execute(controlOf(new AbortController().signal))),
    });
    await vitest.vi.waitFor(() => assert.equal(queue.get("4")?.state, "finished"));
    await adapter.detach();
    expect(most).toBe(2);
    expect(runs.map(({ id, run }) => [id, run])).toEqual(["0", "1", "2", "3", "4"].map((id) => [id, 1]));
  });

  test("a paused process fetches nothing; resumed under a new id it tells its host before it fetches", async () => {
    const queue = memoryQueue();
    const holders: string[] = [];
    const host = plainHost();
    const adapter = memoryAdapter({
      queue,
      process: async ({ holder }) => void holders.push(`${host.changes} ${holder}`),
    });
    await adapter.attach(host);
    const [former] = adapter.holders(queue.key);
    await adapter.pause();
    queue.add("job");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(holders).toEqual([]);
    await adapter.resume({ renew: true });
    await vitest.vi.waitFor(() => assert.equal(holders.length, 1));
    await adapter.detach();
    const [holder] = adapter.holders(queue.key);
    expect(holder).not.toBe(former);
    expect(holders).toEqual([`2 ${holder}`]);
  });

  test.each([
    ["ERR_HANDOVER", "waiting"], // its process leaves: the job goes back
    ["ERR_FENCED", "held"], // it is given away: to those who do that it is left, also when nobody has moved it yet
  ] as const)("a job whose handler stops because of %s is %s afterwards", async (code, state) => {
    const queue = memoryQueue();
    const id = queue.add("job");
    const adapter = memoryAdapter({
      queue,
      process: async (_job, signal) => {
        await adapter.pause();
        signal.throwIfAborted();
      },
    });
    const signal = AbortSignal.abort(new AssuranceError(code, "told to stop"));
    const host = plainHost();
    await adapter.attach({ ...host, run: (run, execute) => host.run(run, () => execute(controlOf(signal))) });
    await host.ended;
    await adapter.detach();
    expect(queue.get(id)?.state).toBe(state);
  });

  test("an audit shows a job whose holder nobody knows", async () => {
    const queue = memoryQueue();
    queue.add("job", { id: "1" });
    queue.fetch("a stranger");
    const fleet = { observed: 0, living: new Set<string>(), mute: new Set<string>() };
    const found = await memoryAdapter({ queue }).audit(queue.key, { repair: false, fleet });
    expect(found).toMatchObject([{ kind: "memory.ownerless", queue: queue.key, job: "1", repaired: false }]);
  });
});
