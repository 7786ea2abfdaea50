/* The bench of an adapter test: a harness, and what recovery does with it.
 *
 * A process that "died" is only one whose holder ids are asked for: the queue cannot tell it from a zombie, which is
 * just what the tests are about.
 */
import assert from "node:assert/strict";
import type { DeadHolder, QueueAdapter, RequeueOutcome } from "../../adapter.ts";
import { AssuranceError } from "../../errors.ts";
import { newIncarnation } from "../../instance.ts";
import type { Incarnation } from "../../instance.ts";
import type { Orphan } from "../../store.ts";
import { promise } from "../runner.ts";
import type { SuiteTest } from "../runner.ts";
import type { AdapterHarness, HeldRun, NewJob } from "./harness.ts";

export const RECOVERERS = 10;
/** Longer than any test, ms. */
export const LONG = 600_000;

type Process = Pick<HeldRun, "holderIds"> & Partial<Pick<HeldRun, "id" | "run" | "proof">>;

export class Bench {
  readonly harness: AdapterHarness;
  readonly adapter: QueueAdapter;
  readonly queue: string;

  constructor(harness: AdapterHarness) {
    this.harness = harness;
    this.adapter = harness.adapter;
    this.queue = harness.queue;
  }

  /** Adds a job and makes a process hold it. */
  async hold(job: NewJob = {}): Promise<HeldRun> {
    const id = await this.harness.add(job);
    const run = await this.harness.start(id);
    assert.equal(run.id, id);
    return run;
  }

  /** A run whose process is dead to everybody, and its orphan. Whether the process still lives is up to the test. */
  async orphaned(job: NewJob = {}): Promise<{ readonly run: HeldRun; readonly orphan: Orphan }> {
    const run = await this.hold(job);
    return { run, orphan: await this.orphanOf(run) };
  }

  async orphanOf(run: HeldRun): Promise<Orphan> {
    const [orphan, ...others] = await this.heldBy(run);
    assert.ok(orphan, "the dead one's job is found");
    assert.deepEqual([orphan.id, orphan.run, others.length], [run.id, run.run, 0]);
    return orphan;
  }

  /** What these processes held, were they dead. */
  heldBy(...processes: readonly Process[]): Promise<readonly Orphan[]> {
    return this.adapter.heldBy(
      this.queue,
      processes.map((process) => deadHolder(this.queue, process)),
    );
  }

  requeue(orphan: Orphan, delay = 0): Promise<RequeueOutcome> {
    return this.adapter.requeue(orphan, { delay });
  }

  async assertRuns(id: string, runs: number): Promise<void> {
    assert.equal(await this.harness.runs(id), runs, "number of runs");
  }

  async assertState(id: string, state: string): Promise<void> {
    const expected = state === "finished" && this.harness.forgetsFinished === true ? "missing" : state;
    assert.equal(await this.harness.state(id), expected);
    assert.equal(await this.adapter.state(this.queue, id), expected);
  }
}

type Ability = "open" | "fetchAndDie" | "remove" | "breakRecord";

/** What not every harness can do. */
export function abilityOf<A extends Ability>(harness: AdapterHarness, name: A): NonNullable<AdapterHarness[A]> {
  const ability = harness[name];
  assert.ok(ability, `the harness has no ${name}(): skip this test by its name, and say why`);
  return ability.bind(harness) as NonNullable<AdapterHarness[A]>;
}

/** A test on a bench. */
export function onBench(name: string, body: (bench: Bench) => Promise<void>): SuiteTest<Bench> {
  return promise(name, body);
}

export async function withBench(
  open: () => Promise<AdapterHarness>,
  body: (bench: Bench) => Promise<void>,
): Promise<void> {
  const harness = await open();
  try {
    await body(new Bench(harness));
  } finally {
    await harness.close();
  }
}

/** As core would ask for it, with the claim that it had. */
export function deadHolder(
  queue: string,
  process: Process,
  incarnation: Incarnation = newIncarnation("dead"),
): DeadHolder {
  const { id, run, proof, holderIds } = process;
  const known = id !== undefined && run !== undefined && proof !== undefined;
  return { incarnation, ids: holderIds, claims: known ? [{ queue, id, run, proof, since: Date.now() }] : [] };
}

/** How often each answer was given. */
export function tally(answers: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
}

export function isRefused(error: unknown): boolean {
  return error instanceof AssuranceError && error.code === "ERR_ACTION_REFUSED";
}
