/* JSON text for Ruby: what JSON.stringify makes, and in addition bigints as their digits and RubyFloats with their point.
 *
 * Node 20 cannot put raw text into JSON, so such a number travels through JSON.stringify as a marked string and loses its
 * quotes behind it. The mark is random and never leaves this process, so no string of a user can be taken for one.
 */
import { randomUUID } from "node:crypto";
import { AssuranceError } from "@assured-jobs/core";
import { reasonOf } from "@assured-jobs/core/adapter-kit";
import { floatText, RubyFloat } from "./ruby-float.ts";

const MARK = `raw:${randomUUID()}:`;
const MARKED = new RegExp(`"${MARK}([^"]*)"`, "g");

/**
 * The text of `value`, or undefined where JSON.stringify answers so (a function, undefined). `-0` becomes `0`, as Ruby
 * reads either. `path` is what an error calls the value.
 *
 * @throws AssuranceError ERR_OPTION for what cannot be written at all, such as a cycle.
 */
export function toJson(value: unknown, path: string): string | undefined {
  if (typeof value === "string") return JSON.stringify(value); // most fields are: the short way
  try {
    const text = JSON.stringify(value, marked) as string | undefined;
    return text?.includes(MARK) === true ? text.replace(MARKED, "$1") : text;
  } catch (error) {
    throw new AssuranceError("ERR_OPTION", `${path}: cannot be written as JSON: ${reasonOf(error)}`, { cause: error });
  }
}

/* `this` is the holder: `value` has been through toJSON already. */
function marked(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  const original = this[key];
  if (typeof original === "bigint") return `${MARK}${original}`;
  return original instanceof RubyFloat ? `${MARK}${floatText(original.value)}` : value;
}
