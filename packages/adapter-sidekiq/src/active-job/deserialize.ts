/* From what Rails stored to values of JavaScript. Whatever is not known, or not as it should be, is kept as it is: a job
 * that is only passed on must lose nothing. */
import { isPlainObject } from "../client/strict-args.ts";
import { parseGlobalId } from "./global-id.ts";
import type { GlobalId } from "./global-id.ts";
import { GLOBAL_ID, INDIFFERENT, KEYWORDS, SERIALIZED, serializer, SYMBOL_KEYS } from "./tags.ts";
import {
  OpaqueValue,
  plainNumber,
  RubyDate,
  RubyDecimal,
  RubyDuration,
  RubyModule,
  RubyRange,
  RubySymbol,
} from "./values.ts";

type Json = Readonly<Record<string, unknown>>;

/** What a GlobalID stands for. */
export type FindRecord = (id: GlobalId) => unknown;

const MARKS = new Set([SYMBOL_KEYS, KEYWORDS, INDIFFERENT]);

/** `value` as `parseWithFloats` reads it. */
export function deserialize(value: unknown, find: FindRecord): unknown {
  if (Array.isArray(value)) return value.map((one) => deserialize(one, find));
  if (typeof value !== "object" || value === null || !isPlainObject(value)) return plainNumber(value);
  const fields = value as Json;
  if (Object.hasOwn(fields, SERIALIZED)) return special(fields, find);
  const id = globalIdOf(fields);
  if (id) return find(id);
  const members = Object.entries(fields).filter(([name]) => !MARKS.has(name));
  return Object.fromEntries(members.map(([name, member]) => [name, deserialize(member, find)]));
}

/* Rails takes it for one only when nothing stands beside it. */
function globalIdOf(fields: Json): GlobalId | undefined {
  const uri = fields[GLOBAL_ID];
  return typeof uri === "string" && Object.keys(fields).length === 1 ? parseGlobalId(uri) : undefined;
}

type Reader = (fields: Json, find: FindRecord) => unknown;

const text =
  (make: (value: string) => unknown): Reader =>
  ({ value }) =>
    typeof value === "string" ? make(value) : undefined;

/* An instant to the millisecond: what is finer, and the zone, is not kept. */
const instant = text((iso) => {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? undefined : time;
});

/** By serializer. Undefined: not as expected. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  [serializer("Symbol"), text((name) => new RubySymbol(name))],
  [serializer("Date"), text((iso) => new RubyDate(iso))],
  [serializer("Time"), instant],
  [serializer("DateTime"), instant],
  [serializer("TimeWithZone"), instant],
  [serializer("BigDecimal"), text((digits) => new RubyDecimal(digits))],
  [serializer("Module"), text((name) => new RubyModule(name))],
  [serializer("Duration"), readDuration],
  [serializer("Range"), readRange],
]);

function special(fields: Json, find: FindRecord): unknown {
  const name = String(fields[SERIALIZED]);
  return READERS.get(name)?.(fields, find) ?? new OpaqueValue(name, fields);
}

function readRange({ begin = null, end = null, exclude_end: excludeEnd }: Json, find: FindRecord): RubyRange {
  return new RubyRange(deserialize(begin, find), deserialize(end, find), excludeEnd === true);
}

function readDuration({ value, parts }: Json, find: FindRecord): RubyDuration | undefined {
  const seconds = plainNumber(value);
  const pairs = deserialize(parts, find);
  if (typeof seconds !== "number" || !Array.isArray(pairs)) return undefined;
  const named = pairs.map((pair) =>
    Array.isArray(pair) && pair[0] instanceof RubySymbol ? [pair[0].name, pair[1]] : [],
  );
  return named.every((pair) => typeof pair[1] === "number")
    ? new RubyDuration(seconds, Object.fromEntries(named as [string, number][]))
    : undefined;
}
