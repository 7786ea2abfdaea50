/* Finding orphans and giving them back: all of them, nobody else's, each once. */
import assert from "node:assert/strict";
import type { SuiteTest } from "../runner.ts";
import { newIncarnation } from "../../instance.ts";
import { deadHolder, LONG, onBench, RECOVERERS, tally } from "./bench.ts";
import type { Bench } from "./bench.ts";

const MANY = 1_000;
const MEGABYTE = 2 ** 20;

const ODD_IDS = [
  "with spaces in it",
  "ünïcödé-漢字-🎉",
  "{braces}",
  `quo"tes'and\`ticks`,
  "a/slash/and\\back",
  "100%25",
  "[1,2]",
  "-dash",
];

const finding: readonly SuiteTest<Bench>[] = [
  onBench("the keys of its queues begin with the name of the adapter", async ({ adapter, queue }) => {
    assert.ok(queue.startsWith(`${adapter.name}:`), queue);
    assert.ok(adapter.queues.includes(queue));
  }),
  onBench("an orphan is found by its dead holder's id and by nobody else's", async (bench) => {
    const dead = await bench.hold({ name: "pay" });
    const living = await bench.hold();
    const incarnation = newIncarnation("dead");
    const found = await bench.adapter.heldBy(bench.queue, [deadHolder(bench.queue, dead, incarnation)]);
    const { id, run, proof } = dead;
    const expected = { queue: bench.queue, id, run, proof, holder: incarnation };
    assert.equal(found.length, 1);
    assert.deepEqual({ ...found[0], ...expected }, found[0]);
    assert.deepEqual(await bench.heldBy({ holderIds: ["nobody-of-this-name"] }), []);
    assert.deepEqual(
      (await bench.heldBy(living)).map((orphan) => orphan.id),
      [living.id],
    );
  }),
  onBench("a job of the living is never listed, nor one that waits or has ended", async (bench) => {
    const ended = await bench.hold();
    await ended.finish();
    await bench.hold();
    await bench.harness.add();
    assert.deepEqual(await bench.heldBy(), []);
    assert.deepEqual(await bench.heldBy({ holderIds: [] }), []);
    assert.deepEqual(await bench.heldBy(ended), []);
  }),
  onBench("the orphans of several dead are told apart", async (bench) => {
    const runs = [await bench.hold(), await bench.hold(), await bench.hold()];
    const dead = runs.map((run) => deadHolder(bench.queue, run));
    const found = await bench.adapter.heldBy(bench.queue, dead);
    const holders = Object.fromEntries(found.map(({ id, holder }) => [id, holder]));
    assert.deepEqual(holders, Object.fromEntries(runs.map(({ id }, i) => [id, dead[i]?.incarnation])));
  }),
  onBench("a process that crashed leaves its job held, to be found and run again", async (bench) => {
    const run = await bench.hold();
    await run.crash();
    await bench.assertState(run.id, "held");
    assert.equal(await bench.requeue(await bench.orphanOf(run)), "requeued");
    const again = await bench.harness.start(run.id);
    assert.equal(await again.finish(), "accepted");
    await bench.assertState(run.id, "finished");
  }),
];

const givingBack: readonly SuiteTest<Bench>[] = [
  onBench(
    "of many who requeue an orphan exactly one does, and it runs again once, with a larger run number",
    async (bench) => {
      const { run, orphan } = await bench.orphaned();
      const answers = await Promise.all(Array.from({ length: RECOVERERS }, () => bench.requeue(orphan)));
      assert.deepEqual(tally(answers), { requeued: 1, already: RECOVERERS - 1 });
      await bench.assertState(run.id, "waiting");
      assert.deepEqual(await bench.heldBy(run), []);
      const again = await bench.harness.start(run.id);
      assert.ok(again.run > run.run, `run ${again.run} after run ${run.run}`);
      await again.finish();
      const next = await bench.hold(); // would be the same job, had it been put back twice
      assert.notEqual(next.id, run.id);
      await bench.assertRuns(run.id, 2);
    },
  ),
  onBench("a requeue after the job runs again says already and does not disturb the new run", async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await bench.requeue(orphan);
    const again = await bench.harness.start(run.id);
    assert.equal(await bench.requeue(orphan), "already");
    await bench.assertState(run.id, "held");
    assert.deepEqual(await bench.heldBy(run), []);
    assert.equal(await again.finish(), "accepted");
    await bench.assertRuns(run.id, 2);
  }),
  onBench("a requeue of a job that finished says so and touches nothing", async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await run.finish();
    assert.ok(["finished", "vanished"].includes(await bench.requeue(orphan)));
    await bench.assertState(run.id, "finished");
    await bench.assertRuns(run.id, 1);
  }),
  onBench("a requeue of a job that nobody knows says vanished and makes none", async (bench) => {
    const { orphan } = await bench.orphaned();
    assert.equal(await bench.requeue({ ...orphan, id: "no-such-job" }), "vanished");
    await bench.assertState("no-such-job", "missing");
  }),
  onBench("a job is given back at the front: it runs before those that came later", async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await bench.harness.add();
    await bench.requeue(orphan);
    assert.equal((await bench.harness.start()).id, run.id);
  }),
  onBench("a job with a priority comes back as well", async (bench) => {
    const { run, orphan } = await bench.orphaned({ priority: 5 });
    assert.equal(await bench.requeue(orphan), "requeued");
    assert.equal(await (await bench.harness.start(run.id)).finish(), "accepted");
  }),
  onBench("a job given back with a delay waits for its time", async (bench) => {
    const { run, orphan } = await bench.orphaned();
    assert.equal(await bench.requeue(orphan, LONG), "requeued");
    await bench.assertState(run.id, "waiting");
    const other = await bench.hold();
    assert.notEqual(other.id, run.id);
    await bench.assertRuns(run.id, 1);
  }),
  onBench("a job given back with a delay runs by itself when it is due", async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await bench.requeue(orphan, 200);
    assert.equal((await bench.harness.start(run.id)).id, run.id);
  }),
  onBench(
    "a delayed job that is promoted is due now; one that waits, runs or is missing stays as it is",
    async (bench) => {
      const { run, orphan } = await bench.orphaned();
      await bench.requeue(orphan, LONG);
      for (let i = 0; i < 2; i++) await bench.adapter.promote(bench.queue, run.id);
      const again = await bench.harness.start(run.id);
      await bench.adapter.promote(bench.queue, run.id);
      await bench.adapter.promote(bench.queue, "no-such-job");
      await bench.assertState(run.id, "held");
      assert.equal(await again.finish(), "accepted");
      await bench.assertRuns(run.id, 2);
    },
  ),
];

const sizes: readonly SuiteTest<Bench>[] = [
  ...ODD_IDS.map((id) =>
    onBench(`a job with the id ${JSON.stringify(id)} is found, given back and run again`, async (bench) => {
      const { run, orphan } = await bench.orphaned({ id });
      assert.equal(await bench.requeue(orphan), "requeued");
      await bench.assertState(id, "waiting");
      const again = await bench.harness.start(id);
      assert.equal(await run.finish(), "refused");
      assert.equal(await again.finish(), "accepted");
    }),
  ),
  onBench("a payload of 1 MB survives byte for byte", async (bench) => {
    const text = "0123456789 ünïcödé \u0000 🎉 \"'{}".repeat(40_000).slice(0, MEGABYTE);
    const data = { text, nested: [null, 1.5, { "": [] }] };
    const { run, orphan } = await bench.orphaned({ data });
    await bench.requeue(orphan);
    assert.deepEqual(await bench.harness.payload(run.id), data);
    await (await bench.harness.start(run.id)).crash();
    assert.deepEqual(await bench.harness.payload(run.id), data);
  }),
  onBench(`${MANY} orphans of one process are all given back, each once`, async (bench) => {
    const ids = await Promise.all(Array.from({ length: MANY }, () => bench.harness.add()));
    const first = await bench.harness.startMany(MANY);
    await first.crash();
    const orphans = await bench.heldBy(first);
    assert.deepEqual(orphans.map(({ id }) => id).toSorted(), ids.toSorted());
    const answers = await Promise.all(orphans.map((orphan) => bench.requeue(orphan)));
    assert.deepEqual(tally(answers), { requeued: MANY });
    assert.deepEqual(await bench.heldBy(first), []);
    const second = await bench.harness.startMany(MANY);
    assert.deepEqual(second.ids.toSorted(), ids.toSorted());
    const runs = await Promise.all(ids.map((id) => bench.harness.runs(id)));
    assert.ok(runs.every((times) => times === 2));
  }),
];

export const requeueTests: readonly SuiteTest<Bench>[] = [...finding, ...givingBack, ...sizes];
