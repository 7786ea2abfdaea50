/* Two recoverers and the run that they take for dead, in every order and all at once: one of the three wins. */
import assert from "node:assert/strict";
import type { SuiteTest } from "../runner.ts";
import type { Orphan } from "../../store.ts";
import { LONG, onBench } from "./bench.ts";
import type { Bench } from "./bench.ts";
import type { HeldRun } from "./harness.ts";

type Actor = (bench: Bench, orphan: Orphan, run: HeldRun) => Promise<string>;

const ACTORS = {
  requeue: (bench, orphan) => bench.requeue(orphan),
  "delayed requeue": (bench, orphan) => bench.requeue(orphan, LONG),
  burial: (bench, orphan) => bench.adapter.bury(orphan, "it keeps killing"),
  finish: (_bench, _orphan, run) => run.finish(),
  failure: (_bench, _orphan, run) => run.fail(new Error("on purpose")),
} satisfies Record<string, Actor>;

type Name = keyof typeof ACTORS;

/** The state that each leaves behind when it wins. */
const LEFT: Readonly<Record<Name, string>> = {
  requeue: "waiting",
  "delayed requeue": "waiting",
  burial: "failed",
  finish: "finished",
  failure: "failed",
};

const WINS: ReadonlySet<string> = new Set(["requeued", "buried", "accepted"]);

const PAIRS: readonly (readonly [Name, Name])[] = [
  ["requeue", "requeue"],
  ["requeue", "burial"],
  ["burial", "burial"],
  ["delayed requeue", "requeue"],
  ["delayed requeue", "burial"],
];

const ENDS: readonly Name[] = ["finish", "failure"];

const inOrder = (trio: readonly Name[]): SuiteTest<Bench> =>
  onBench(`in the order ${trio.join(", ")}: the first one wins`, async (bench) => {
    const { run, orphan } = await bench.orphaned();
    const answers: string[] = [];
    for (const name of trio) answers.push(await ACTORS[name](bench, orphan, run));
    const isWin = answers.map((answer) => WINS.has(answer));
    assert.deepEqual(isWin, [true, false, false], answers.join(", "));
    await settled(bench, run, trio[0]!);
  });

const atOnce = (trio: readonly Name[]): SuiteTest<Bench> =>
  onBench(`${trio.join(", ")} at once: one of them wins`, async (bench) => {
    const { run, orphan } = await bench.orphaned();
    const answers = await Promise.all(trio.map((name) => ACTORS[name](bench, orphan, run)));
    const winners = trio.filter((_, at) => WINS.has(answers[at] ?? ""));
    assert.equal(winners.length, 1, answers.join(", "));
    await settled(bench, run, winners[0]!);
  });

/* Nobody holds it any more, and what waits runs once. */
async function settled(bench: Bench, { id, holderIds }: HeldRun, winner: Name): Promise<void> {
  await bench.assertState(id, LEFT[winner]);
  assert.deepEqual(await bench.heldBy({ holderIds }), []);
  if (winner === "delayed requeue") await bench.adapter.promote(bench.queue, id);
  if (LEFT[winner] !== "waiting") return;
  assert.equal(await (await bench.harness.start(id)).finish(), "accepted");
  await bench.assertState(id, "finished");
  await bench.assertRuns(id, 2);
}

/* Equal ones are told apart by nobody: each order once. */
function ordersOf(trio: readonly Name[]): readonly (readonly Name[])[] {
  if (trio.length === 1) return [trio];
  const orders = trio.flatMap((first, at) => ordersOf(trio.toSpliced(at, 1)).map((rest) => [first, ...rest]));
  return [...new Map(orders.map((order) => [order.join(), order])).values()];
}

const trios = PAIRS.flatMap((pair) => ENDS.map((end): readonly Name[] => [...pair, end]));

export const interleavingTests: readonly SuiteTest<Bench>[] = [
  ...trios.flatMap(ordersOf).map(inOrder),
  ...trios.map(atOnce),
];
