/* Strict arguments, as in Sidekiq 7: what a job is given must be what its worker gets.
 *
 * JSON.stringify drops undefined, makes {} of a Map, a text of a Date and null of NaN, and says nothing. Here each of these
 * is refused where it stands, before anything is sent. Ruby cannot read what is nested deeper than 100 levels (it takes the
 * whole job for no JSON and buries it), nor half a surrogate pair: those are refused too.
 */
import { AssuranceError } from "@assured-jobs/core";
import { RubyFloat } from "../wire/ruby-float.ts";
import { article, kindOf } from "../refusal.ts";

/** Where the walk is: names from the root on, and the containers around the value. */
interface Trail {
  readonly root: string;
  readonly advice: string;
  readonly names: (string | number)[];
  readonly within: object[];
}

interface Flaw {
  readonly what: string;
  readonly remedy: string;
}

/** JSON.parse of Ruby takes 100 levels; the payload itself is the first. */
const DEEPEST = 99;
const HALF_A_PAIR = /[\uD800-\uDFFF]/u;
const PLAIN_NAME = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;

/**
 * Returns when `value` equals its JSON round trip (a bigint is taken for its digits, a RubyFloat for its number, and `-0`
 * for `0`). `path` is what the value is called, e.g. `args`; `advice` ends the message.
 *
 * @throws AssuranceError ERR_OPTION: which part, what it is, and what to do.
 */
export function assertStrict(value: unknown, path: string, advice = ""): void {
  visit(value, { root: path, advice, names: [], within: [] });
}

const BRACKETS = /[{}[\]]/g;
const STRINGS = /"(?:[^"\\]|\\.)*"/g;
/** What JSON.stringify writes for half a pair; a backslash before it would be one of the text's own. */
const ESCAPED_HALF = /(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]/;

/**
 * Of what need not arrive as it is, at least Ruby must be able to read the job: `json` is what JSON.stringify made.
 *
 * @throws AssuranceError ERR_OPTION.
 */
export function assertReadable(json: string, path: string): void {
  const trail: Trail = { root: path, advice: "", names: [], within: [] };
  if (ESCAPED_HALF.test(json)) throw refused(BROKEN_TEXT, trail);
  let depth = 0;
  for (const [mark] of json.replaceAll(STRINGS, "").matchAll(BRACKETS)) {
    depth += mark === "{" || mark === "[" ? 1 : -1;
    if (depth > DEEPEST) throw refused(TOO_DEEP, trail);
  }
}

/** An object literal, or one without a prototype. Also true for those of another realm, such as a test runner's. */
export function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  const isLiteral = prototype === null || Object.getPrototypeOf(prototype) === null;
  return isLiteral && Object.prototype.toString.call(value) === "[object Object]";
}

function visit(value: unknown, trail: Trail): void {
  const flaw = flawOf(value, trail);
  if (flaw) throw refused(flaw, trail);
  if (typeof value !== "object" || value === null || value instanceof RubyFloat) return;
  trail.within.push(value);
  const isList = Array.isArray(value);
  for (const [name, member] of Object.entries(value)) {
    trail.names.push(isList ? Number(name) : name);
    if (HALF_A_PAIR.test(name)) throw refused(BROKEN_TEXT, trail);
    visit(member, trail);
    trail.names.pop();
  }
  trail.within.pop();
}

function flawOf(value: unknown, trail: Trail): Flaw | undefined {
  if (typeof value === "string") return HALF_A_PAIR.test(value) ? BROKEN_TEXT : undefined;
  if (typeof value === "object") return flawOfObject(value, trail);
  if (typeof value !== "number") return NEVER_JSON[typeof value];
  return Number.isFinite(value) ? undefined : { what: String(value), remedy: "Pass null or a string" };
}

const NEVER_JSON: Readonly<Record<string, Flaw>> = {
  undefined: { what: "undefined", remedy: "Pass null, or leave it out" },
  function: { what: "a function", remedy: "Pass what it returns" },
  symbol: { what: "a symbol", remedy: "Pass a string" },
};

function flawOfObject(value: object | null, { within }: Trail): Flaw | undefined {
  if (value === null || value instanceof RubyFloat) return undefined;
  if (within.includes(value)) return { what: "a cycle: it contains itself", remedy: "Pass an id instead" };
  if (within.length >= DEEPEST) return TOO_DEEP;
  if (Array.isArray(value)) return flawOfList(value);
  if (!isPlainObject(value)) return flawOfInstance(value);
  const isSymbolic = Object.getOwnPropertySymbols(value).length > 0;
  return isSymbolic ? { what: "an object with symbols for keys", remedy: "Name them with strings" } : undefined;
}

function flawOfList(list: readonly unknown[]): Flaw | undefined {
  const isOwnKind = Array.isArray(Object.getPrototypeOf(list)); // what Array.prototype is, and no prototype of a class
  if (!isOwnKind) return flawOfInstance(list);
  const isWhole = Object.keys(list).length === list.length && Object.getOwnPropertySymbols(list).length === 0;
  return isWhole ? undefined : { what: "a list with holes or with names", remedy: "Pass a dense array" };
}

const INSTEAD: Readonly<Record<string, string>> = {
  Date: "Pass its toISOString(), or seconds",
  Map: "Pass Object.fromEntries(map)",
  Set: "Pass [...set]",
};

function flawOfInstance(value: object): Flaw {
  const kind = kindOf(value);
  return { what: `${article(kind)} ${kind}`, remedy: INSTEAD[kind] ?? "Pass a plain object or array" };
}

const TOO_DEEP: Flaw = { what: "nested too deep: Ruby reads at most 100 levels", remedy: "Flatten it" };

const BROKEN_TEXT: Flaw = {
  what: "a text with half a surrogate pair",
  remedy: "UTF-8 cannot hold it: repair the text",
};

function refused({ what, remedy }: Flaw, { root, names, advice }: Trail): AssuranceError {
  const path = names.reduce<string>((before, name) => `${before}${step(name)}`, root);
  return new AssuranceError("ERR_OPTION", `${path}: ${what}. It would not arrive as it is here. ${remedy}.${advice}`);
}

function step(name: string | number): string {
  if (typeof name === "number") return `[${name}]`;
  return PLAIN_NAME.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}
