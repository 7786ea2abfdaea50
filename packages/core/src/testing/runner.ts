/* How a suite is registered with a test runner, and how a part of it is skipped: by name, with a reason, and printed.
 *
 * A skip that names no test is refused, so that a test which was renamed cannot stay skipped unnoticed.
 */
import { AssuranceError } from "../errors.ts";

/** `describe` and `test` of vitest or node:test; both fit as they are. */
export interface Runner {
  describe(name: string, body: () => void): unknown;
  test(name: string, options: { timeout: number; skip: boolean }, body: () => Promise<void>): unknown;
}

/** Tests that something cannot pass, and why. */
export interface Skip {
  readonly reason: string;
  readonly tests: readonly string[];
}

/** Options of describeStore() and describeAdapter(). */
export interface SuiteOptions {
  readonly skip?: readonly Skip[];
}

/** One promise of a contract, and the test that it is kept. */
export interface SuiteTest<Fixture> {
  readonly name: string;
  readonly body: (fixture: Fixture) => Promise<void>;
}

/** A suite before it is registered. */
export interface Suite<Fixture> {
  readonly name: string;
  readonly tests: readonly SuiteTest<Fixture>[];
  /** Opens a fixture, runs one test with it, and closes it whatever happens. */
  readonly run: (body: SuiteTest<Fixture>["body"]) => Promise<void>;
}

/* Real processes and servers on a busy machine. */
const TIMEOUT = 60_000;

export function promise<Fixture>(name: string, body: SuiteTest<Fixture>["body"]): SuiteTest<Fixture> {
  return { name, body };
}

/** Registers every test of the suite with the runner; those to skip as skipped. */
export function registerSuite<Fixture>(runner: Runner, suite: Suite<Fixture>, { skip = [] }: SuiteOptions = {}): void {
  const reasons = reasonsToSkip(suite, skip);
  for (const [test, reason] of reasons) {
    // oxlint-disable-next-line no-console -- a skip must be seen by whoever runs the suite
    console.log(`${suite.name}: skipped "${test}": ${reason}`);
  }
  runner.describe(suite.name, () => {
    for (const { name, body } of suite.tests) {
      runner.test(name, { timeout: TIMEOUT, skip: reasons.has(name) }, () => suite.run(body));
    }
  });
}

function reasonsToSkip<Fixture>({ name, tests }: Suite<Fixture>, skips: readonly Skip[]): Map<string, string> {
  const known = new Set(tests.map((test) => test.name));
  const reasons = new Map<string, string>();
  for (const { reason, tests: skipped } of skips) {
    if (reason.trim() === "")
      throw new AssuranceError("ERR_OPTION", `${name}: skip.reason: expected a reason, got none`);
    for (const test of skipped) {
      if (!known.has(test)) throw new AssuranceError("ERR_OPTION", `${name}: skip.tests: no test is named "${test}"`);
      reasons.set(test, reason);
    }
  }
  return reasons;
}
