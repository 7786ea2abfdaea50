/* Zombies: a process that was given up goes on. In whatever order things happen, one run ends the job. */
import assert from "node:assert/strict";
import type { SuiteTest } from "../runner.ts";
import { onBench } from "./bench.ts";
import type { Bench } from "./bench.ts";
import type { HeldRun, Verdict } from "./harness.ts";

interface End {
  readonly verb: string;
  readonly past: string;
  readonly state: string;
  readonly end: (run: HeldRun) => Promise<Verdict>;
}

const ENDS: readonly End[] = [
  { verb: "finishes", past: "finish", state: "finished", end: (run) => run.finish() },
  { verb: "fails", past: "failure", state: "failed", end: (run) => run.fail(new Error("on purpose")) },
];

const returned = ENDS.flatMap(({ verb, past, state, end }) => [
  onBench(
    `a zombie that ${verb} before its job is given back is heard, and the job is not given back`,
    async (bench) => {
      const { run, orphan } = await bench.orphaned();
      assert.equal(await end(run), "accepted");
      assert.ok(["finished", "vanished"].includes(await bench.requeue(orphan)));
      await bench.assertState(run.id, state);
      await bench.assertRuns(run.id, 1);
    },
  ),
  onBench(`the ${past} of a zombie is refused while its job waits again`, async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await bench.requeue(orphan);
    assert.equal(await end(run), "refused");
    await bench.assertState(run.id, "waiting");
    assert.equal(await (await bench.harness.start(run.id)).finish(), "accepted");
  }),
  onBench(`the ${past} of a zombie is refused while its job runs again, and that run is accepted`, async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await bench.requeue(orphan);
    const again = await bench.harness.start(run.id);
    assert.equal(await end(run), "refused");
    await bench.assertState(run.id, "held");
    assert.equal(await again.finish(), "accepted");
    await bench.assertState(run.id, "finished");
  }),
  onBench(`the ${past} of a zombie is refused after its job was run again`, async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await bench.requeue(orphan);
    await (await bench.harness.start(run.id)).finish();
    assert.equal(await end(run), "refused");
    await bench.assertState(run.id, "finished");
    await bench.assertRuns(run.id, 2);
  }),
]);

const buried = ENDS.map(({ past, end }) =>
  onBench(`the ${past} of a zombie is refused after its job was buried`, async (bench) => {
    const { run, orphan } = await bench.orphaned();
    await bench.adapter.bury(orphan, "it keeps killing");
    assert.equal(await end(run), "refused");
    await bench.assertState(run.id, "failed");
  }),
);

export const zombieTests: readonly SuiteTest<Bench>[] = [...returned, ...buried];
