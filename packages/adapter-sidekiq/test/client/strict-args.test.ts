/* What a job is given is what its worker gets, or it is refused where it is given. */
import { AssuranceError } from "@assured-jobs/core";
import fc from "fast-check";
import { isDeepStrictEqual } from "node:util";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { assertStrict, isPlainObject } from "../../src/client/strict-args.ts";
import { toJson } from "../../src/wire/json.ts";
import { rubyFloat } from "../../src/wire/ruby-float.ts";

const refused = (value: unknown): string | undefined => {
  try {
    assertStrict(value, "args");
    return undefined;
  } catch (error) {
    if (error instanceof AssuranceError && error.code === "ERR_OPTION") return error.message;
    throw error;
  }
};

/* JSON has one zero. */
function withOneZero(value: unknown): unknown {
  if (value === 0) return 0;
  if (Array.isArray(value)) return value.map(withOneZero);
  if (typeof value !== "object" || value === null || !isPlainObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withOneZero(one)]));
}

function survivesJson(value: unknown): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(JSON.stringify(value)), withOneZero(value));
  } catch {
    return false;
  }
}

const anything = fc.anything({
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  maxDepth: 4,
});

describe("strict arguments", () => {
  test("take exactly what equals its JSON round trip", () => {
    fc.assert(
      fc.property(fc.oneof(anything, fc.jsonValue()), (value) => {
        expect(refused(value) === undefined).toBe(survivesJson(value));
      }),
      { numRuns: 3_000 },
    );
  });

  test("take bigints of any length and floats for Ruby", () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.integer(), (long, whole) => {
        expect(refused([{ long, float: rubyFloat(whole) }])).toBeUndefined();
      }),
    );
  });

  test("take -0, which Ruby reads as 0 whichever way it is written", () => {
    expect(refused([-0])).toBeUndefined();
    expect(toJson([-0], "args")).toBe("[0]");
  });

  test("take objects without a prototype, and those of another realm", () => {
    expect(refused([Object.assign(Object.create(null), { a: 1 })])).toBeUndefined();
    expect(refused(runInNewContext("[{ a: [1, { b: null }] }]"))).toBeUndefined();
  });

  test("take a value that stands at two places", () => {
    const shared = { a: 1 };
    expect(refused([shared, shared, [shared]])).toBeUndefined();
  });
});

class Account {
  readonly id = 1;
}
class Numbers extends Array<number> {}
const named: unknown[] & { name?: string } = [1];
named.name = "x";
const cycle: { self?: unknown } = {};
cycle.self = [cycle];
// oxlint-disable-next-line no-sparse-arrays
const sparse = [1, , 2];

describe("what is refused is named, with what to do", () => {
  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ["undefined", [undefined], /^args\[0\]: undefined\..*Pass null/],
    ["a missing member", [{ a: undefined }], /^args\[0\]\.a: undefined/],
    ["a function", [{ "on done": () => 1 }], /^args\[0\]\["on done"\]: a function/],
    ["a symbol", [Symbol("x")], /^args\[0\]: a symbol/],
    ["a Date", [1, { when: new Date(0) }], /^args\[1\]\.when: a Date\..*toISOString/],
    ["a Map", [new Map()], /^args\[0\]: a Map\..*Object\.fromEntries/],
    ["a Set", [new Set()], /^args\[0\]: a Set\./],
    ["NaN", [[Number.NaN]], /^args\[0\]\[0\]: NaN/],
    ["Infinity", [-Infinity], /^args\[0\]: -Infinity/],
    ["an instance of a class", [new Account()], /^args\[0\]: an Account\..*plain object/],
    ["an array of a class", [new Numbers()], /^args\[0\]: a Numbers\./],
    ["a Buffer", [Buffer.from("x")], /^args\[0\]: a Buffer\./],
    ["an Error", [new Error("x")], /^args\[0\]: an Error\./],
    ["a list with a hole", [sparse], /^args\[0\]: a list with holes/],
    ["a list with a name", [named], /^args\[0\]: a list with holes or with names/],
    ["a symbol for a key", [{ [Symbol("x")]: 1 }], /^args\[0\]: an object with symbols/],
    ["a cycle", [cycle], /^args\[0\]\.self\[0\]: a cycle/],
    ["half a surrogate pair", ["a\ud800b"], /^args\[0\]: a text with half/],
    ["half a pair in a key", [{ "\udc00": 1 }], /^args\[0\]\["\\udc00"\]: a text with half/],
    ["an object that writes itself", [{ toJSON: () => 1 }], /^args\[0\]\.toJSON: a function/],
  ];
  for (const [what, value, expected] of wrong) test(what, () => expect(refused(value)).toMatch(expected));

  test("what Ruby's JSON takes for too deep, and nothing that it reads", () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    expect(refused(nested(99))).toBeUndefined(); // the payload is the hundredth
    expect(refused(nested(100))).toMatch(/nested too deep/);
  });

  test("and its content is not, for it may be a secret", () => {
    expect(refused([{ password: new Map([["secret", 1]]) }])).not.toMatch(/secret/);
  });
});
