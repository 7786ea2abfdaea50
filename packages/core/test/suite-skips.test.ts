import type * as nodeTest from "node:test";
import type * as vitest from "vitest";
import { afterEach, describe, expect, expectTypeOf, test, vi } from "vitest";
import { describeAdapter, describeStore } from "../src/testing/index.ts";
import type { Runner, SuiteOptions } from "../src/testing/index.ts";

interface Registered {
  readonly name: string;
  readonly skip: boolean;
}

/** Notes what a suite registers, and runs none of it. */
function notingRunner(): Runner & { readonly tests: Registered[] } {
  const tests: Registered[] = [];
  return {
    tests,
    describe: (_name, body) => body(),
    test: (name, { skip }) => tests.push({ name, skip }),
  };
}

const never = (): Promise<never> => Promise.reject(new Error("a suite opens nothing before its tests run"));

const suites = {
  describeStore: (runner: Runner, options?: SuiteOptions) => describeStore(runner, "suite", never, options),
  describeAdapter: (runner: Runner, options?: SuiteOptions) => describeAdapter(runner, "suite", never, options),
};

afterEach(() => vi.restoreAllMocks());

describe.each(Object.entries(suites))("%s", (_name, register) => {
  function namesOf(options?: SuiteOptions): Registered[] {
    const runner = notingRunner();
    register(runner, options);
    return runner.tests;
  }

  test("it registers each of its tests under a name of its own, and prints nothing", () => {
    const print = vi.spyOn(console, "log").mockImplementation(() => {});
    const names = namesOf().map(({ name }) => name);
    expect(names.length).toBeGreaterThan(40);
    expect(new Set(names).size).toBe(names.length);
    expect(namesOf().every(({ skip }) => !skip)).toBe(true);
    expect(print).not.toHaveBeenCalled();
  });

  test("a skip is printed with its reason, and its tests are registered as skipped", () => {
    const print = vi.spyOn(console, "log").mockImplementation(() => {});
    const [first, second, ...others] = namesOf().map(({ name }) => name);
    const skipped = namesOf({ skip: [{ reason: "the moon", tests: [first!, second!] }] });
    expect(skipped.filter(({ skip }) => skip).map(({ name }) => name)).toEqual([first, second]);
    expect(skipped).toHaveLength(others.length + 2);
    expect(print.mock.calls).toEqual([
      [`suite: skipped "${first}": the moon`],
      [`suite: skipped "${second}": the moon`],
    ]);
  });

  test("a skip that names no test is refused, before anything is registered", () => {
    const runner = notingRunner();
    const skip = [{ reason: "it was renamed", tests: ["no test of this name"] }];
    expect(() => register(runner, { skip })).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining("no test of this name") }),
    );
    expect(runner.tests).toEqual([]);
  });

  test("a skip without a reason is refused", () => {
    const [first] = namesOf();
    expect(() => namesOf({ skip: [{ reason: " ", tests: [first!.name] }] })).toThrow(
      expect.objectContaining({ code: "ERR_OPTION" }),
    );
  });
});

test("vitest and node:test fit as they are", () => {
  expectTypeOf<typeof vitest>().toExtend<Runner>();
  expectTypeOf<typeof nodeTest>().toExtend<Runner>();
});
