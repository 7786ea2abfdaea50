/* The conformance suite of an adapter: what a queue must be able to do so that its jobs survive their process. */
import type { Runner, SuiteOptions } from "../runner.ts";
import { registerSuite } from "../runner.ts";
import { withBench } from "./bench.ts";
import type { AdapterHarness } from "./harness.ts";
import { interleavingTests } from "./interleavings.ts";
import { peopleTests } from "./people.ts";
import { processTests } from "./processes.ts";
import { recordTests } from "./records.ts";
import { requeueTests } from "./requeue.ts";
import { zombieTests } from "./zombies.ts";

const tests = [...requeueTests, ...zombieTests, ...interleavingTests, ...processTests, ...recordTests, ...peopleTests];

/**
 * Registers the conformance suite of an adapter. `open` makes a new, empty queue for each test.
 * `runner` is vitest or node:test. What a queue cannot do is skipped by name and with a reason, which is printed.
 */
export function describeAdapter(
  runner: Runner,
  name: string,
  open: () => Promise<AdapterHarness>,
  options: SuiteOptions = {},
): void {
  registerSuite(runner, { name, tests, run: (body) => withBench(open, body) }, options);
}
