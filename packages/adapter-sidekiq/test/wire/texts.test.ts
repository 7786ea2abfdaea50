/* How numbers and times are spelled, so that Ruby reads what was meant. */
import { AssuranceError } from "@assured-jobs/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseWithFloats } from "../../src/wire/exact.ts";
import { toJson } from "../../src/wire/json.ts";
import { floatText, rubyFloat, RubyFloat } from "../../src/wire/ruby-float.ts";
import { readTimestamp, restamp, secondsText, timestamp } from "../../src/wire/timestamps.ts";

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const IS_FLOAT = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/;

describe("a float", () => {
  test("always has a point or an exponent, and the same value", () => {
    fc.assert(
      fc.property(fc.oneof(finite, fc.integer()), (value) => {
        const text = floatText(value);
        expect(text).toMatch(IS_FLOAT);
        expect(text).toMatch(/[.e]/);
        expect(Object.is(JSON.parse(text), value)).toBe(true);
      }),
    );
  });

  test("is written as one inside of a value, and read as one", () => {
    fc.assert(
      fc.property(finite, (value) => {
        const text = toJson({ a: [rubyFloat(value)] }, "x");
        expect(text).toBe(`{"a":[${floatText(value)}]}`);
        expect(toJson(parseWithFloats(text!), "x")).toBe(text);
      }),
    );
  });

  test("that JSON has no text for is refused", () => {
    for (const value of [Number.NaN, Infinity, -Infinity, "1", undefined, 1n])
      expect(() => rubyFloat(value as number)).toThrow(AssuranceError);
  });

  test("is the plain number in a log", () => expect(JSON.stringify([new RubyFloat(1)])).toBe("[1]"));
});

function stringified(value: unknown): unknown {
  try {
    return JSON.stringify(value);
  } catch (error) {
    return /bigint/i.test(String(error)) ? "with a bigint" : "no JSON";
  }
}

function written(value: unknown): unknown {
  if (stringified(value) === "with a bigint") return "with a bigint";
  try {
    return toJson(value, "x");
  } catch {
    return "no JSON";
  }
}

describe("a text for Ruby", () => {
  test("is what JSON.stringify writes", () => {
    const values = fc.oneof(fc.jsonValue(), fc.anything());
    fc.assert(
      fc.property(values, (value) => {
        expect(written(value)).toEqual(stringified(value));
      }),
    );
  });

  test("has each digit of a bigint, wherever it stands", () => {
    fc.assert(
      fc.property(fc.bigInt(), (value) => {
        expect(toJson(value, "x")).toBe(String(value));
        expect(toJson({ a: [value], b: "1n" }, "x")).toBe(`{"a":[${value}],"b":"1n"}`);
      }),
    );
  });

  test("cannot be made of a cycle, and says of what", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(() => toJson(cycle, "args")).toThrow(/^args: cannot be written as JSON: .*circular/);
  });
});

describe("a time", () => {
  test("in seconds is never an integer, which Sidekiq 8 would read as 1970", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 4e12 }), (ms) => /^\d+\.\d+$/.test(timestamp(ms, "s"))));
    expect(secondsText(1_795_456_983_000)).toBe("1795456983.0");
  });

  test("is valid JSON, however small", () => expect(JSON.parse(secondsText(0.0005))).toBe(5e-7));

  test("is read as milliseconds, whoever wrote it", () => {
    const ms = 1_795_458_684_589;
    for (const unit of ["s", "ms"] as const)
      expect(Math.round(readTimestamp(JSON.parse(timestamp(ms, unit)))!)).toBe(ms);
    expect(readTimestamp("1795458684")).toBeUndefined();
  });

  test("keeps each digit when it is written in its own unit", () => {
    expect(restamp(1795458684.5894785, "s")).toBe("1795458684.5894785");
    expect(restamp(1795458684, "s")).toBe("1795458684.0");
    expect(restamp(1795458684589, "ms")).toBe("1795458684589");
  });

  test("changes its unit when the reader wants another", () => {
    expect(restamp(1795458684589, "s")).toBe("1795458684.589");
    expect(restamp(1795458684.589, "ms")).toBe("1795458684589");
  });
});
