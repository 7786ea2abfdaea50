/* The conformance suite of a store: the contract of store.ts, sentence by sentence, as tests. */
import type { Runner, SuiteOptions } from "../runner.ts";
import { registerSuite } from "../runner.ts";
import { casebookTests } from "./casebook.ts";
import { deathTests } from "./death.ts";
import { dutyTests } from "./duty.ts";
import type { StoreHarness } from "./harness.ts";
import { ledgerTests } from "./ledger.ts";
import { presenceTests } from "./presence.ts";
import { pulseTests } from "./pulse.ts";
import { inScene } from "./scene.ts";
import { suspectTests } from "./suspects.ts";
import { timeTests } from "./time.ts";

const tests = [
  ...timeTests,
  ...presenceTests,
  ...deathTests,
  ...dutyTests,
  ...casebookTests,
  ...suspectTests,
  ...ledgerTests,
  ...pulseTests,
];

/**
 * Registers the conformance suite of a store. `open` makes a new, empty set of records for each test.
 * `runner` is vitest or node:test. What a store cannot do is skipped by name and with a reason, which is printed.
 */
export function describeStore(
  runner: Runner,
  name: string,
  open: () => Promise<StoreHarness>,
  options: SuiteOptions = {},
): void {
  registerSuite(runner, { name, tests, run: (body) => inScene(open, body) }, options);
}
