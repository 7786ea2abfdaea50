/* How a wrong option or job is refused: what it is called, what was expected, what was given. Never more of a value than
 * a scalar, for a job may hold secrets. */
import { AssuranceError } from "@assured-jobs/core";

/** What a value must be, and how to say so. */
export type Rule = readonly [isRight: (value: unknown) => boolean, expected: string];

/** @throws AssuranceError ERR_OPTION for the first value that breaks its rule; `where` stands before its name. */
export function assertRules(rules: Readonly<Record<string, Rule>>, read: (name: string) => unknown, where = ""): void {
  for (const [name, [isRight, expected]] of Object.entries(rules)) {
    if (!isRight(read(name))) throw refusal(`${where}${name}`, expected, read(name));
  }
}

/** @throws AssuranceError ERR_OPTION for options that are no object, and for names that mean nothing. */
export function assertNames(options: object, names: readonly string[], where: string): void {
  if (typeof options !== "object" || options === null) throw refusal(`${where}options`, "an object", options);
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) throw refusal(`${where}${unknown}`, `one of ${names.join(", ")}`, unknown);
}

/** The rule, or nothing at all. */
export const optional = ([isRight, expected]: Rule): Rule => [
  (value) => value === undefined || isRight(value),
  expected,
];

export const isFlag: Rule = [(value) => typeof value === "boolean", "true or false"];

/** A whole number from `least` on, as far as timers and counters of Redis go. */
export const isWhole = (least: number): Rule => [
  (value) => typeof value === "number" && Number.isInteger(value) && value >= least && value < 2 ** 31,
  `a whole number, at least ${least}`,
];

export const isUnit: Rule = [(value) => value === "s" || value === "ms", '"s" or "ms"'];

export const isPrefix: Rule = [(value) => typeof value === "string", "a text such as shop:"];

export const isVersion: Rule = [(value) => [6, 7, 8].includes(value as number), "6, 7 or 8"];

/** A list of functions. */
export const isChain: Rule = [
  (value) => Array.isArray(value) && value.every((one: unknown) => typeof one === "function"),
  "an array of functions",
];

export function refusal(what: string, expected: string, got: unknown): AssuranceError {
  return new AssuranceError("ERR_OPTION", `${what}: expected ${expected}, got ${shown(got)}.`);
}

/** A value in a few words. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "object" && value !== null) return `${article(kindOf(value))} ${kindOf(value)}`;
  return typeof value === "function" ? "a function" : String(value);
}

/** `Date`, `Object`, `Account`; of something without a constructor `Object`. */
export function kindOf(value: object): string {
  const made: unknown = Reflect.get(value, "constructor");
  return typeof made === "function" && made.name !== "" ? made.name : "Object";
}

export const article = (noun: string): string => (/^[AEIO]/i.test(noun) ? "an" : "a");
