/* Values of Ruby that JSON does not have, as Rails' jobs carry them. They are plain data: what JavaScript has no type for
 * stays what it is, and can be sent on without a loss. */
import { RubyFloat } from "../wire/ruby-float.ts";
import { refusal } from "../refusal.ts";

/** A Symbol of Ruby, `:name`. */
export class RubySymbol {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A calendar day, without a time or a zone. */
export class RubyDate {
  /** `2026-01-02` */
  readonly iso: string;

  constructor(iso: string) {
    this.iso = iso;
  }
}

export type DurationParts = Readonly<
  Partial<Record<"years" | "months" | "weeks" | "days" | "hours" | "minutes" | "seconds", number>>
>;

/** An ActiveSupport::Duration. */
export class RubyDuration {
  readonly seconds: number;
  /** What it was made of: a month is not always as long. */
  readonly parts: DurationParts;

  constructor(seconds: number, parts: DurationParts) {
    this.seconds = seconds;
    this.parts = parts;
  }
}

/** A decimal number of any length, as its digits. */
export class RubyDecimal {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }
}

/** A Range; an end that is null is open. Needs Rails 7. */
export class RubyRange {
  readonly begin: unknown;
  readonly end: unknown;
  /** True for `begin...end`. */
  readonly excludeEnd: boolean;

  constructor(begin: unknown, end: unknown, excludeEnd: boolean) {
    this.begin = begin;
    this.end = end;
    this.excludeEnd = excludeEnd;
  }
}

/** A class or module, by its name. */
export class RubyModule {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** How a Hash has its keys. A plain object is a Hash with strings for keys. */
export type RubyKeys = "symbols" | "keywords" | "indifferent";

/** A Hash whose keys are not plain strings. */
export class RubyHash {
  readonly keys: RubyKeys;
  readonly entries: Readonly<Record<string, unknown>>;

  constructor(keys: RubyKeys, entries: Readonly<Record<string, unknown>>) {
    this.keys = keys;
    this.entries = entries;
  }
}

/** A value of a kind that is not known here, such as one with a serializer of the app's own. It is sent on as it is. */
export class OpaqueValue {
  /** Class of the serializer, e.g. `MoneySerializer`. */
  readonly serializer: string;
  /** What stands in the job. Its whole floats are `RubyFloat`s. */
  readonly serialized: Readonly<Record<string, unknown>>;

  constructor(serializer: string, serialized: Readonly<Record<string, unknown>>) {
    this.serializer = serializer;
    this.serialized = serialized;
  }
}

const DECIMAL = /^(?:NaN|[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Infinity))$/;

/** `:name` */
export function symbol(name: string): RubySymbol {
  return new RubySymbol(text("symbol", name));
}

/** A Date of Ruby: `rubyDate("2026-01-02")`. A Date of JavaScript becomes a Time. */
export function rubyDate(iso: string): RubyDate {
  const day = new Date(`${iso}T00:00:00Z`);
  const isDay = !Number.isNaN(day.getTime()) && day.toISOString().slice(0, 10) === iso; // 2026-02-30 would be in March
  if (!isDay) throw refusal("rubyDate", "a day such as 2026-01-02", iso);
  return new RubyDate(iso);
}

/** `duration(259_200, { days: 3 })` is `3.days`. Without parts it is so many seconds. */
export function duration(seconds: number, parts: DurationParts = { seconds }): RubyDuration {
  if (!Number.isFinite(seconds)) throw refusal("duration", "finite seconds", seconds);
  return new RubyDuration(seconds, parts);
}

/** A BigDecimal: `bigDecimal("12.50")`. Needs Rails 7.1. */
export function bigDecimal(digits: string): RubyDecimal {
  if (!DECIMAL.test(digits)) throw refusal("bigDecimal", 'digits such as "12.50"', digits);
  return new RubyDecimal(digits);
}

/** `rubyRange(1, 9)` is `1..9`, with `true` `1...9`; null is an open end. Needs Rails 7. */
export const rubyRange = (begin: unknown, end: unknown, excludeEnd = false): RubyRange =>
  new RubyRange(begin, end, excludeEnd);

/** A class or module of Ruby: `rubyModule("Shop::Order")`. */
export function rubyModule(name: string): RubyModule {
  return new RubyModule(text("rubyModule", name));
}

/** Keyword arguments, `perform(key: 1)`; the last argument of a job. */
export const keywords = (entries: Readonly<Record<string, unknown>>): RubyHash => new RubyHash("keywords", entries);

/** A Hash with symbols for keys, `{ key: 1 }`. */
export const symbolKeys = (entries: Readonly<Record<string, unknown>>): RubyHash => new RubyHash("symbols", entries);

/** A HashWithIndifferentAccess, as `params` are in Rails. */
export const indifferent = (entries: Readonly<Record<string, unknown>>): RubyHash =>
  new RubyHash("indifferent", entries);

/** The number of a RubyFloat, anything else as it is. */
export const plainNumber = (value: unknown): unknown => (value instanceof RubyFloat ? value.value : value);

function text(what: string, value: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw refusal(what, "a name", value);
}
