/* Reading Ruby's numbers: integers of any length, and which ones are Floats. Where a key stands twice the last one
 * counts, as in Ruby and in JSON.parse. Nested deeper than a few thousand levels it throws a RangeError. */
import { parse } from "lossless-json";
import { RubyFloat } from "./ruby-float.ts";

const INTEGER = /^-?\d+$/;

/** JSON.parse with every integer exact: those beyond 2^53 are bigints. */
export function parseExact(text: string): unknown {
  return parse(text, null, { parseNumber: exactNumber, onDuplicateKey: lastWins });
}

/** The same, with each whole number that was written as a Float kept as one, so that it can be written again. */
export function parseWithFloats(text: string): unknown {
  return parse(text, null, { parseNumber: numberOrFloat, onDuplicateKey: lastWins });
}

function exactNumber(digits: string): number | bigint {
  const number = Number(digits);
  return INTEGER.test(digits) && !Number.isSafeInteger(number) ? BigInt(digits) : number;
}

function numberOrFloat(digits: string): unknown {
  const number = exactNumber(digits);
  return !INTEGER.test(digits) && Number.isInteger(number) ? new RubyFloat(Number(number)) : number;
}

const lastWins = ({ newValue }: { newValue: unknown }): unknown => newValue;
