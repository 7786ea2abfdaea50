/* Records that are gone, broken, or of any size and kind: nothing stands still because of one. */
import assert from "node:assert/strict";
import type { SuiteTest } from "../runner.ts";
import { abilityOf, onBench } from "./bench.ts";
import type { Bench } from "./bench.ts";

const PAYLOADS: Readonly<Record<string, unknown>> = {
  "an empty object": {},
  "an empty list in an object": { list: [], nothing: null },
  text: "plain text",
  "a number": 1.5,
  "a list": [1, "two", { three: [] }],
  "digits beyond a double": { big: "12345678901234567890", small: 0.1 },
  "1 kB": { text: "ü".repeat(512) },
};

const gone: readonly SuiteTest<Bench>[] = [
  onBench("a job that was removed while it was held is gone for its recoverer, and leaves nothing", async (bench) => {
    const remove = abilityOf(bench.harness, "remove");
    const [requeued, buried] = [await bench.orphaned(), await bench.hold()];
    const alsoDead = await bench.orphanOf(buried);
    for (const { id } of [requeued.run, buried]) await remove(id);
    const lost = bench.harness.forgetsFinished === true ? "finished" : "vanished"; // it cannot tell one from the other
    assert.equal(await bench.requeue(requeued.orphan), lost);
    assert.equal(await bench.adapter.bury(alsoDead, "it keeps killing"), lost);
    const fleet = { observed: 0, living: new Set<string>(), mute: new Set<string>() };
    await bench.adapter.upkeep?.(bench.queue, fleet);
    assert.deepEqual(await bench.adapter.audit(bench.queue, { repair: false, fleet }), []);
    for (const { id } of [requeued.run, buried]) await bench.assertState(id, "missing");
  }),
  onBench("a zombie does not end a new job that has got the id of its own", async (bench) => {
    const { run, orphan } = await bench.orphaned({ id: "the-same" });
    await bench.adapter.bury(orphan, "it keeps killing");
    await bench.adapter.discard(bench.queue, run.id);
    assert.equal(await bench.harness.add({ id: "the-same", data: { second: true } }), "the-same");
    assert.equal(await run.finish(), "refused");
    await bench.assertState("the-same", "waiting");
    assert.deepEqual(await bench.harness.payload("the-same"), { second: true });
    assert.equal(await (await bench.harness.start("the-same")).finish(), "accepted");
  }),
  onBench("a record that nobody can read is out of the way: the next job runs", async (bench) => {
    const breakRecord = abilityOf(bench.harness, "breakRecord");
    const broken = await bench.harness.add();
    await breakRecord(broken);
    const next = await bench.hold();
    assert.notEqual(next.id, broken);
    assert.equal(await next.finish(), "accepted");
    assert.deepEqual(await bench.heldBy(), []);
  }),
];

const payloads = Object.entries(PAYLOADS).map(([kind, data]) =>
  onBench(`what a job carries survives its orphan's way back: ${kind}`, async (bench) => {
    const { run, orphan } = await bench.orphaned({ data });
    await bench.requeue(orphan);
    assert.deepEqual(await bench.harness.payload(run.id), data);
    const again = await bench.harness.start(run.id);
    await bench.adapter.bury(await bench.orphanOf(again), "it keeps killing");
    assert.deepEqual(await bench.harness.payload(run.id), data);
  }),
);

export const recordTests: readonly SuiteTest<Bench>[] = [...gone, ...payloads];
