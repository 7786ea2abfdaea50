/* From values of JavaScript to what Rails stores, as its own dumps show it. What Rails could not read is refused here, where
 * it is given. */
import { AssuranceError } from "@assured-jobs/core";
import { refusal } from "../refusal.ts";
import { assertStrict, isPlainObject } from "../client/strict-args.ts";
import { RubyFloat } from "../wire/ruby-float.ts";
import { GlobalId } from "./global-id.ts";
import { GLOBAL_ID, INDIFFERENT, KEYWORDS, RESERVED, SERIALIZED, serializer, SYMBOL_KEYS } from "./tags.ts";
import {
  OpaqueValue,
  RubyDate,
  RubyDecimal,
  RubyDuration,
  RubyHash,
  RubyModule,
  RubyRange,
  RubySymbol,
} from "./values.ts";

type Json = Readonly<Record<string, unknown>>;

/** Ruby reads at most 100 levels; beyond that, a value would also be one that contains itself. */
const DEEPEST = 90;

/**
 * What stands in `arguments` for a value. `path` is what an error calls it.
 *
 * @throws AssuranceError ERR_OPTION for what Rails has no form for.
 */
export function serialize(value: unknown, path: string, depth = 0): unknown {
  if (depth > DEEPEST) throw new AssuranceError("ERR_OPTION", `${path}: nested too deep, or a cycle.`);
  const inside = (member: unknown, name: string | number): unknown => {
    const where = typeof name === "number" ? `${path}[${name}]` : `${path}.${name}`;
    if (RESERVED.has(String(name))) throw refusal(where, "a key that is not one of Rails' own", name);
    return serialize(member, where, depth + 1);
  };
  if (Array.isArray(value)) return Array.from(value, inside);
  const isObject = typeof value === "object" && value !== null && !(value instanceof RubyFloat);
  if (!isObject) {
    assertStrict(value, path);
    return value;
  }
  if (value instanceof RubyHash) return hash(value.entries, value.keys, inside);
  if (isPlainObject(value)) return hash(value as Json, "strings", inside);
  return special(value, path, inside);
}

type Inside = (member: unknown, name: string) => unknown;

function hash(entries: Json, keys: RubyHash["keys"] | "strings", inside: Inside): Json {
  const names = Object.keys(entries);
  const members = names.map((name) => [name, inside(entries[name], name)] as const);
  return Object.fromEntries([...members, markOf(keys, names)]);
}

function markOf(keys: RubyHash["keys"] | "strings", names: readonly string[]): readonly [string, unknown] {
  if (keys === "indifferent") return [INDIFFERENT, true];
  if (keys === "keywords") return [KEYWORDS, names];
  return [SYMBOL_KEYS, keys === "symbols" ? names : []];
}

function special(value: object, path: string, inside: Inside): Json {
  if (value instanceof GlobalId) return { [GLOBAL_ID]: value.uri };
  if (value instanceof Date) return tagged("Time", { value: timeText(value, path) });
  if (value instanceof RubySymbol) return tagged("Symbol", { value: value.name });
  if (value instanceof RubyDate) return tagged("Date", { value: value.iso });
  if (value instanceof RubyDecimal) return tagged("BigDecimal", { value: value.digits });
  if (value instanceof RubyModule) return tagged("Module", { value: value.name });
  return compound(value, path, inside);
}

function compound(value: object, path: string, inside: Inside): Json {
  if (value instanceof RubyRange) {
    const { begin, end, excludeEnd } = value;
    const ends = { begin: inside(begin, "begin"), end: inside(end, "end") };
    return tagged("Range", { ...ends, exclude_end: excludeEnd });
  }
  if (value instanceof RubyDuration) {
    const parts = Object.entries(value.parts).map(([unit, count]) => [tagged("Symbol", { value: unit }), count]);
    return tagged("Duration", { value: value.seconds, parts });
  }
  if (value instanceof OpaqueValue) return value.serialized;
  throw refusal(path, "a value that Rails has a form for", value);
}

const tagged = (kind: string, fields: Json): Json => ({ [SERIALIZED]: serializer(kind), ...fields });

/** As Rails writes a Time: nine digits of a second, in UTC. */
export function timeText(time: Date, path: string): string {
  if (Number.isNaN(time.getTime())) throw refusal(path, "a valid Date", "Invalid Date");
  const text = time.toISOString();
  if (!/^\d{4}-/.test(text)) throw refusal(path, "a Date of the years 0 to 9999, as Ruby reads them", text);
  return text.replace("Z", "000000Z");
}
