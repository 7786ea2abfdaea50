/* Burying, and what people do: each action compares first. */
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import type { QueueAdapter } from "../../adapter.ts";
import type { SuiteTest } from "../runner.ts";
import { isRefused, onBench, RECOVERERS, tally } from "./bench.ts";
import type { Bench } from "./bench.ts";

const REASON = "3 deaths within 72 h";

/** Ways to bring a job into a state; each returns its id. */
const STATES = {
  waiting: ({ harness }: Bench) => harness.add(),
  held: async (bench: Bench) => (await bench.hold()).id,
  finished: async (bench: Bench) => {
    const run = await bench.hold();
    await run.finish();
    return run.id;
  },
  failed: async (bench: Bench) => {
    const run = await bench.hold();
    await run.fail(new Error("on purpose"));
    return run.id;
  },
  missing: async () => "no-such-job",
};

type Action = "retry" | "discard" | "release";

/** The states in which an action makes no sense in any queue. */
const REFUSED: readonly (readonly [Action, keyof typeof STATES])[] = [
  ["retry", "waiting"],
  ["retry", "held"],
  ["retry", "missing"],
  ["discard", "held"],
  ["discard", "missing"],
  ["release", "waiting"],
  ["release", "held"],
  ["release", "finished"],
  ["release", "failed"],
  ["release", "missing"],
];

const act = (adapter: QueueAdapter, action: Action, queue: string, id: string): Promise<void> =>
  adapter[action](queue, id);

const burials: readonly SuiteTest<Bench>[] = [
  onBench("of many who bury an orphan exactly one does; the job is kept", async (bench) => {
    const data = { amount: 42 };
    const { run, orphan } = await bench.orphaned({ data });
    const answers = await Promise.all(Array.from({ length: RECOVERERS }, () => bench.adapter.bury(orphan, REASON)));
    assert.deepEqual(tally(answers), { buried: 1, already: RECOVERERS - 1 });
    await bench.assertState(run.id, "failed");
    assert.deepEqual(await bench.harness.payload(run.id), data);
    assert.deepEqual(await bench.heldBy(run), []);
  }),
  onBench("a buried job is not given back by a recoverer that comes late", async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await bench.adapter.bury(orphan, REASON);
    assert.notEqual(await bench.requeue(orphan), "requeued");
    await bench.assertState(run.id, "failed");
  }),
  onBench("a job that was given back is not buried for its former run", async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await bench.requeue(orphan);
    assert.equal(await bench.adapter.bury(orphan, REASON), "already");
    const again = await bench.harness.start(run.id);
    assert.equal(await bench.adapter.bury(orphan, REASON), "already");
    assert.equal(await again.finish(), "accepted");
    assert.notEqual(await bench.adapter.bury(orphan, REASON), "buried");
    await bench.assertState(run.id, "finished");
  }),
  onBench("to bury a job that nobody knows says vanished", async (bench) => {
    const { orphan } = await bench.orphaned();
    assert.equal(await bench.adapter.bury({ ...orphan, id: "no-such-job" }, REASON), "vanished");
  }),
  onBench("a buried job that is released runs again, and can be released once only", async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await bench.adapter.bury(orphan, REASON);
    await bench.adapter.release(bench.queue, run.id);
    await bench.assertState(run.id, "waiting");
    await assert.rejects(bench.adapter.release(bench.queue, run.id), isRefused);
    const again = await bench.harness.start(run.id);
    assert.ok(again.run > run.run);
    assert.equal(await run.finish(), "refused");
    assert.equal(await again.finish(), "accepted");
    await bench.assertRuns(run.id, 2);
  }),
];

const actions: readonly SuiteTest<Bench>[] = [
  onBench("a failed job that is retried runs again", async (bench) => {
    const id = await STATES.failed(bench);
    await bench.adapter.retry(bench.queue, id);
    await bench.assertState(id, "waiting");
    assert.equal(await (await bench.harness.start(id)).finish(), "accepted");
  }),
  ...(["waiting", "failed"] as const).map((state) =>
    onBench(`a ${state} job that is discarded is gone`, async (bench) => {
      const id = await STATES[state](bench);
      await bench.adapter.discard(bench.queue, id);
      await bench.assertState(id, "missing");
      const next = await bench.hold();
      assert.notEqual(next.id, id);
    }),
  ),
  ...REFUSED.map(([action, state]) =>
    onBench(`to ${action} a job that is ${state} is refused, and changes nothing`, async (bench) => {
      const id = await STATES[state](bench);
      await assert.rejects(act(bench.adapter, action, bench.queue, id), isRefused);
      await bench.assertState(id, state);
    }),
  ),
  onBench("of two who retry a failed job one is refused", async (bench) => {
    const id = await STATES.failed(bench);
    const results = await Promise.allSettled([1, 2].map(() => bench.adapter.retry(bench.queue, id)));
    const refusals = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    assert.deepEqual(refusals.map(isRefused), [true]);
    await bench.assertState(id, "waiting");
  }),
];

const upkeep: readonly SuiteTest<Bench>[] = [
  onBench("an audit of a healthy queue finds nothing, and repairs nothing", async (bench) => {
    const { holderIds, id } = await bench.hold();
    await STATES.finished(bench);
    await STATES.failed(bench);
    await bench.harness.add();
    await bench.harness.add({ delay: 60_000 });
    const living = new Set(holderIds);
    for (const repair of [false, true]) {
      const fleet = { observed: 0, living, mute: new Set<string>() };
      assert.deepEqual(await bench.adapter.audit(bench.queue, { repair, fleet }), []);
    }
    await bench.assertState(id, "held");
  }),
  onBench("upkeep leaves the runs of the living alone, however often it is done", async (bench) => {
    const run = await bench.hold();
    const fleet = { observed: 0, living: new Set(run.holderIds), mute: new Set(run.holderIds) };
    for (let i = 0; i < 3; i++) await bench.adapter.upkeep?.(bench.queue, fleet);
    await bench.assertState(run.id, "held");
    assert.equal(await run.finish(), "accepted");
    await bench.assertRuns(run.id, 1);
  }),
  onBench("to detach twice is harmless", async (bench) => {
    await bench.adapter.detach();
    await turn();
    await bench.adapter.detach();
  }),
];

export const peopleTests: readonly SuiteTest<Bench>[] = [...burials, ...actions, ...upkeep];
