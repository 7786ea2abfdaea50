/* A process with the adapter attached: when its runs are reported, when it fetches, and what it leaves where it dies. */
import assert from "node:assert/strict";
import type { SuiteTest } from "../runner.ts";
import { until } from "../until.ts";
import { abilityOf, deadHolder, onBench } from "./bench.ts";
import type { Bench } from "./bench.ts";
import type { OpenProcess } from "./harness.ts";

const JOBS = 20;

async function open({ harness }: Bench): Promise<OpenProcess> {
  return abilityOf(harness, "open")();
}

const hasRun = ({ host }: OpenProcess, id: string): Promise<unknown> =>
  until(`job ${id} has run`, () => host.runs.some(({ run, ended }) => run.id === id && ended));

const attached: readonly SuiteTest<Bench>[] = [
  onBench(
    "a run is reported before its first instruction, and over when the queue has accepted its end",
    async (bench) => {
      const process = await open(bench);
      const id = await bench.harness.add();
      await hasRun(process, id);
      await bench.assertState(id, "finished");
      const run = process.host.runs[0]?.run;
      assert.deepEqual([run?.queue, run?.id, process.unreported()], [bench.queue, id, 0]);
      assert.ok(run && run.run > 0 && run.proof.length > 0);
    },
  ),
  onBench(
    "after pause() nothing is fetched, and nothing is on its way; after resume() everything runs",
    async (bench) => {
      const process = await open(bench);
      await hasRun(process, await bench.harness.add());
      for (let round = 0; round < 5; round++) {
        const adding = bench.harness.add();
        await process.adapter.pause();
        const ids = [await adding, await bench.harness.add()];
        const reported = new Set(process.host.runs.map(({ run }) => run.id));
        const held = await bench.heldBy({ holderIds: process.adapter.holders(bench.queue) });
        assert.ok(
          held.every(({ id }) => reported.has(id)),
          "what it holds is a run by now, or back",
        );
        await bench.assertState(ids[1]!, "waiting");
        assert.ok(!reported.has(ids[1]!));
        await process.adapter.resume({ renew: false });
        for (const id of ids) await hasRun(process, id);
      }
    },
  ),
  onBench("a new life has new holder ids, told before it fetches, and holds its jobs by them", async (bench) => {
    const process = await open(bench);
    await hasRun(process, await bench.harness.add());
    const former = process.adapter.holders(bench.queue);
    const { changes } = process.host;
    await process.adapter.pause();
    await process.adapter.resume({ renew: true });
    const holders = process.adapter.holders(bench.queue);
    assert.ok(process.host.changes > changes);
    assert.equal(holders.length, former.length);
    assert.ok(holders.every((id) => !former.includes(id)));
    await hasRun(process, await bench.harness.add());
  }),
  onBench("each of many jobs is reported once", async (bench) => {
    const process = await open(bench);
    const ids = await Promise.all(Array.from({ length: JOBS }, () => bench.harness.add()));
    for (const id of ids) await hasRun(process, id);
    assert.equal(new Set(process.host.runs.map(({ run }) => `${run.id} ${run.run}`)).size, JOBS);
    assert.deepEqual(process.host.lostRuns, []);
  }),
];

const dying: readonly SuiteTest<Bench>[] = [
  onBench("a process that dies between the fetch and its handler: the job comes back and runs", async (bench) => {
    const { id, holderIds } = await abilityOf(bench.harness, "fetchAndDie")();
    const dead = deadHolder(bench.queue, { holderIds });
    await until("it waits again", async () => {
      for (const orphan of await bench.adapter.heldBy(bench.queue, [dead])) await bench.requeue(orphan);
      await bench.adapter.upkeep?.(bench.queue, { observed: performance.now(), living: new Set(), mute: new Set() });
      return (await bench.harness.state(id)) === "waiting";
    });
    assert.equal(await (await bench.harness.start(id)).finish(), "accepted");
  }),
  onBench(
    "a process that dies while its end is on its way: the job has ended, or comes back, never both",
    async (bench) => {
      for (let round = 0; round < 5; round++) {
        const { run, orphan } = await bench.orphaned();
        void run.finish().catch(() => {});
        await run.crash();
        const outcome = await bench.requeue(orphan);
        if (outcome === "requeued") assert.equal(await (await bench.harness.start(run.id)).finish(), "accepted");
        await bench.assertState(run.id, "finished");
        await bench.assertRuns(run.id, outcome === "requeued" ? 2 : 1);
      }
    },
  ),
];

export const processTests: readonly SuiteTest<Bench>[] = [...attached, ...dying];
