/* Jobs of Rails: what is built is what Rails builds, and what Rails built is read without a loss. */
import { AssuranceError } from "@assured-jobs/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { activeJob } from "../../src/active-job/active-job.ts";
import type { ActiveJobOptions } from "../../src/active-job/active-job.ts";
import type { GlobalId } from "../../src/active-job/global-id.ts";
import { globalId, parseGlobalId } from "../../src/active-job/global-id.ts";
import { activeJobClass, readActiveJob } from "../../src/active-job/read.ts";
import type { ActiveJobData } from "../../src/active-job/read.ts";
import {
  bigDecimal,
  duration,
  indifferent,
  keywords,
  OpaqueValue,
  rubyDate,
  RubyDate,
  RubyDecimal,
  RubyDuration,
  rubyModule,
  RubyModule,
  rubyRange,
  RubyRange,
  symbol,
  RubySymbol,
  symbolKeys,
} from "../../src/active-job/values.ts";
import { draftOf } from "../../src/client/draft.ts";
import { encode } from "../../src/client/encode.ts";
import { Payload } from "../../src/wire/payload.ts";
import { rubyFloat } from "../../src/wire/ruby-float.ts";

/** A dump of activejob 6.1.7 with sidekiq 6.4.1. */
const DUMP = String.raw`{"retry":true,"queue":"reports","class":"ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper","wrapped":"ReportJob","args":[{"job_class":"ReportJob","job_id":"a3ab0d3d-7ad5-44a3-a853-b5b8e7f7a42b","provider_job_id":null,"queue_name":"reports","priority":null,"arguments":[{"_aj_globalid":"gid://shop/User/42"},1,"s",{"_aj_serialized":"ActiveJob::Serializers::SymbolSerializer","value":"sym"},1.5,null,{"a":1,"b":2,"_aj_symbol_keys":["b"]},{"_aj_serialized":"ActiveJob::Serializers::TimeSerializer","value":"2026-01-02T03:04:05.000000000Z"},{"_aj_serialized":"ActiveJob::Serializers::DateSerializer","value":"2026-01-02"},{"_aj_serialized":"ActiveJob::Serializers::DurationSerializer","value":259200,"parts":[[{"_aj_serialized":"ActiveJob::Serializers::SymbolSerializer","value":"days"},3]]},{"key":"word","_aj_ruby2_keywords":["key"]}],"executions":0,"exception_executions":{},"locale":"en","timezone":null,"enqueued_at":"2026-11-23T18:31:24Z"}],"jid":"683ebdbc136c0af1337daeb8","created_at":1795458684.5894785,"enqueued_at":1795458684.5896938}`;

const payloadOf = (text: string): Payload => Payload.parse(text)!;
const read = async (text: string, options = {}): Promise<ActiveJobData> =>
  (await readActiveJob(payloadOf(text), options))!;

/** As SidekiqClient would write it. */
function textOf(args: readonly unknown[], options: ActiveJobOptions = {}): string {
  const now = Date.now();
  return encode(draftOf(activeJob("ReportJob", args, options), now), { strictArgs: true, timestamps: "s" }, now).text;
}

/** `arguments` of what Rails would get, as JSON. */
const argumentsOf = (args: readonly unknown[]): unknown =>
  (JSON.parse(textOf(args)) as { args: [{ arguments: unknown }] }).args[0].arguments;

const wire = (kind: string, value: unknown): object => ({
  _aj_serialized: `ActiveJob::Serializers::${kind}Serializer`,
  value,
});

describe("a job for Rails", () => {
  test("is built as Rails builds it", () => {
    const args = [
      globalId("shop", "User", 42),
      1,
      "s",
      symbol("sym"),
      1.5,
      null,
      { a: 1, b: 2 },
      new Date("2026-01-02T03:04:05Z"),
      rubyDate("2026-01-02"),
      duration(259_200, { days: 3 }),
      keywords({ key: "word" }),
    ];
    const text = textOf(args, { queue: "reports", locale: "en", jobId: "a3ab0d3d-7ad5-44a3-a853-b5b8e7f7a42b" });
    const same = (job: string): string =>
      job.replace(/"enqueued_at":"[^"]+"/, "enqueued").replace('_aj_symbol_keys":["b"]', '_aj_symbol_keys":[]');
    const argsOf = (job: string): string => /"args":\[.*enqueued\}\]/.exec(same(job))![0];
    expect(argsOf(text)).toBe(argsOf(DUMP)); // the order of its keys included
    const fieldsOf = (job: string): string[] => Object.keys(JSON.parse(job) as object).toSorted();
    expect(fieldsOf(text)).toEqual(fieldsOf(DUMP));
    expect(JSON.parse(text)).toMatchObject({ wrapped: "ReportJob", queue: "reports", retry: true });
  });

  test("has the wrapper that its Sidekiq knows, and the old one unless told", () => {
    expect(activeJob("J", [])["class"]).toBe("ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper");
    expect(activeJob("J", [], { sidekiq: 6 }).class).toBe(activeJob("J", [], { sidekiq: 7 }).class);
    expect(activeJob("J", [], { sidekiq: 8 }).class).toBe("Sidekiq::ActiveJob::Wrapper");
  });

  test("leaves locale and zone to the app, counts no runs, and has an id of its own", () => {
    const [one, two] = [activeJob("J", []), activeJob("J", [])];
    expect(one.args[0]).toMatchObject({
      locale: null,
      timezone: null,
      executions: 0,
      provider_job_id: null,
      priority: null,
    });
    const { job_id: id } = one.args[0] as { job_id: string };
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    expect((two.args[0] as { job_id: string }).job_id).not.toBe(id);
  });

  test("takes what else Rails keeps", () => {
    const options = { priority: 5, timezone: "Europe/Berlin", locale: "de", executions: 2, retry: 3, queue: "low" };
    expect(activeJob("J", [], options)).toMatchObject({ retry: 3, queue: "low", wrapped: "J" });
    expect(activeJob("J", [], options).args[0]).toMatchObject({
      priority: 5,
      timezone: "Europe/Berlin",
      locale: "de",
      executions: 2,
      queue_name: "low",
    });
  });

  test("for later says so to Rails and to Sidekiq", () => {
    const at = new Date("2099-01-02T03:04:05.678Z");
    const job = activeJob("J", [], { at });
    expect(job.at).toBe(at.getTime() / 1_000);
    expect(job.args[0]).toMatchObject({ scheduled_at: "2099-01-02T03:04:05.678000000Z" });
    expect(activeJob("J", [], { at: new Date(0) }).args[0]).not.toHaveProperty("scheduled_at");
  });

  test("carries each kind of value in Rails' own form", () => {
    const forms: [unknown, unknown][] = [
      [{ a: [1] }, { a: [1], _aj_symbol_keys: [] }],
      [symbolKeys({ a: symbol("b") }), { a: wire("Symbol", "b"), _aj_symbol_keys: ["a"] }],
      [keywords({ a: 1, b: 2 }), { a: 1, b: 2, _aj_ruby2_keywords: ["a", "b"] }],
      [indifferent({ a: 1 }), { a: 1, _aj_hash_with_indifferent_access: true }],
      [new Date(1.5), wire("Time", "1970-01-01T00:00:00.001000000Z")],
      [bigDecimal("12.50"), wire("BigDecimal", "12.50")],
      [rubyModule("Shop::Order"), wire("Module", "Shop::Order")],
      [duration(60), { ...wire("Duration", 60), parts: [[wire("Symbol", "seconds"), 60]] }],
      [
        rubyRange(rubyDate("2026-01-02"), null, true),
        {
          _aj_serialized: "ActiveJob::Serializers::RangeSerializer",
          begin: wire("Date", "2026-01-02"),
          end: null,
          exclude_end: true,
        },
      ],
      [[[globalId("shop", "User", "a b/c")]], [[{ _aj_globalid: "gid://shop/User/a+b%2Fc" }]]],
    ];
    expect(argumentsOf(forms.map(([value]) => value))).toEqual(forms.map(([, form]) => form));
  });

  test("keeps long integers and whole floats", () => {
    expect(textOf([2n ** 70n, { price: rubyFloat(2) }])).toContain(
      '[1180591620717411303424,{"price":2.0,"_aj_symbol_keys":[]}]',
    );
  });

  class Account {
    readonly id = 1;
  }
  const cycle: unknown[] = [];
  cycle.push(cycle);
  const wrong: Record<string, [unknown, RegExp]> = {
    "a key of Rails' own": [
      { a: { _aj_serialized: 1 } },
      /^arguments\[0\]\.a\._aj_serialized: expected a key that is not/,
    ],
    "a class that Rails knows no form for": [
      new Account(),
      /^arguments\[0\]: expected a value that Rails has a form for, got an Account/,
    ],
    "a Map": [[new Map()], /^arguments\[0\]\[0\]: .*got a Map/],
    undefined: [{ a: undefined }, /^arguments\[0\]\.a: undefined/],
    NaN: [Number.NaN, /^arguments\[0\]: NaN/],
    "half a surrogate pair": ["\ud800", /^arguments\[0\]: a text with half/],
    "an invalid Date": [new Date(Number.NaN), /^arguments\[0\]: expected a valid Date/],
    "a cycle": [cycle, /nested too deep, or a cycle/],
  };
  for (const [what, [value, message]] of Object.entries(wrong))
    test(`is refused with ${what}`, () => {
      expect(() => activeJob("J", [value])).toThrow(AssuranceError);
      expect(() => activeJob("J", [value])).toThrow(message);
    });

  test("is refused with options that mean nothing", () => {
    expect(() => activeJob("", [])).toThrow(/activeJob: class/);
    expect(() => activeJob("J", "x" as never)).toThrow(/activeJob: arguments/);
    expect(() => activeJob("J", [], { sidekiq: 5 as never })).toThrow(/activeJob: sidekiq: expected 6, 7 or 8/);
    expect(() => activeJob("J", [], { quue: "x" } as never)).toThrow(/activeJob: quue: expected one of queue/);
  });

  test("is refused values that Ruby could not make", () => {
    expect(() => rubyDate("02.01.2026")).toThrow(/^rubyDate: /);
    expect(() => rubyDate("2026-13-01")).toThrow(/^rubyDate: /);
    expect(() => rubyDate("2026-02-30")).toThrow(/^rubyDate: /);
    for (const digits of ["nan", "infinity", "+NaN"]) expect(() => bigDecimal(digits)).toThrow(/^bigDecimal: /);
    expect(() => bigDecimal("12,5")).toThrow(/^bigDecimal: /);
    expect(() => duration(Number.NaN)).toThrow(/^duration: /);
    expect(() => symbol("")).toThrow(/^symbol: /);
    expect(() => globalId("my app", "User", 1)).toThrow(/^globalId: app: /);
    expect(() => globalId("shop", "", 1)).toThrow(/^globalId: model: /);
    expect(() => globalId("shop", "User", [])).toThrow(/^globalId: id: /);
  });
});

describe("a job of Rails", () => {
  test("is read with its class, its ids and its values", async () => {
    const job = await read(DUMP);
    expect(job).toMatchObject({
      jobClass: "ReportJob",
      jobId: "a3ab0d3d-7ad5-44a3-a853-b5b8e7f7a42b",
      queue: "reports",
      executions: 0,
      exceptionExecutions: {},
      locale: "en",
      timezone: undefined,
      priority: undefined,
      enqueuedAt: new Date("2026-11-23T18:31:24Z"),
      scheduledAt: undefined,
    });
    expect(job.arguments).toEqual([
      globalId("shop", "User", 42),
      1,
      "s",
      new RubySymbol("sym"),
      1.5,
      null,
      { a: 1, b: 2 },
      new Date("2026-01-02T03:04:05Z"),
      new RubyDate("2026-01-02"),
      new RubyDuration(259_200, { days: 3 }),
      { key: "word" },
    ]);
    expect(job.serializedArguments).toEqual((payloadOf(DUMP).get("args") as [{ arguments: unknown }])[0].arguments);
  });

  test("is told from others, also by wrappers that are not Rails' own", () => {
    const { args } = JSON.parse(DUMP) as { args: unknown };
    const classOf = (fields: object): unknown => activeJobClass(payloadOf(JSON.stringify(fields)));
    expect(classOf({ class: "Sidekiq::ActiveJob::Wrapper", args })).toBe("ReportJob");
    expect(classOf({ class: "MyWrapper", wrapped: "ReportJob", args })).toBe("ReportJob");
    expect(classOf({ class: "EchoJob", args })).toBeUndefined();
    for (const other of [[], [1], [{}], [[]], [null], "x", undefined])
      expect(classOf({ class: "Sidekiq::ActiveJob::Wrapper", args: other })).toBeUndefined();
  });

  test("that is none is undefined, whatever stands in it", async () => {
    for (const text of ['{"class":"EchoJob","args":[1]}', "{}", '{"class":"Sidekiq::ActiveJob::Wrapper"}'])
      expect(await readActiveJob(payloadOf(text))).toBeUndefined();
    const odd =
      '{"class":"Sidekiq::ActiveJob::Wrapper","args":[{"job_class":"J","arguments":7,"executions":"x","enqueued_at":5}]}';
    expect(await read(odd)).toMatchObject({ arguments: [], executions: 0, enqueuedAt: new Date(5_000) });
  });

  test("gets each record once, all at a time, wherever its name stands", async () => {
    const asked: string[] = [];
    const user = globalId("shop", "User", 1);
    const text = textOf([
      user,
      [{ by: user, team: globalId("shop", "Team", [1, "b"], { v: "2" }) }],
      rubyRange(user, 2),
    ]);
    const { arguments: values } = await read(text, {
      resolveGlobalId: async ({ app, model, id, ids, params }: GlobalId) => {
        asked.push(model);
        return { app, model, id, ids, params };
      },
    });
    const found = { app: "shop", model: "User", id: "1", ids: ["1"], params: {} };
    const team = { app: "shop", model: "Team", id: "1/b", ids: ["1", "b"], params: { v: "2" } };
    expect(values).toEqual([found, [{ by: found, team }], new RubyRange(found, 2, false)]);
    expect(asked).toEqual(["User", "Team"]);
  });

  test("fails with what the hook throws", async () => {
    const gone = Promise.reject(new Error("no such user"));
    const read42 = read(DUMP, { resolveGlobalId: () => gone });
    await expect(read42).rejects.toThrow("no such user");
  });

  test("keeps long integers, in hashes and in ranges", async () => {
    const long = 12345678901234567n;
    const { arguments: values } = await read(textOf([long, { long }, rubyRange(1, long)]));
    expect(values).toEqual([long, { long }, new RubyRange(1, long, false)]);
  });

  test("may have keys that would be dangerous to assign", async () => {
    const text = DUMP.replace('{"a":1,', '{"__proto__":{"polluted":1},"a":1,');
    const hash = (await read(text)).arguments[6] as object;
    expect(Object.keys(hash)).toEqual(["__proto__", "a", "b"]);
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });
});

describe("a value of a kind that is not known", () => {
  const money =
    '{"_aj_serialized":"MoneySerializer","cents":9007199254740993,"rate":1.0,"of":{"_aj_globalid":"gid://a/B/1"}}';
  const withValue = (value: string): string => DUMP.replace('{"_aj_globalid":"gid://shop/User/42"}', value);

  test("is kept as it is, and sent on without a loss", async () => {
    let isAsked = false;
    const job = await read(withValue(money), { resolveGlobalId: () => (isAsked = true) });
    const [opaque] = job.arguments as [OpaqueValue];
    expect(opaque).toBeInstanceOf(OpaqueValue);
    expect(opaque.serializer).toBe("MoneySerializer");
    expect(isAsked).toBe(false);
    expect(textOf([opaque])).toContain(`"arguments":[${money}]`);
  });

  const odd: readonly string[] = [
    '{"_aj_serialized":"ActiveJob::Serializers::SymbolSerializer","value":1}',
    '{"_aj_serialized":"ActiveJob::Serializers::TimeSerializer","value":"yesterday"}',
    '{"_aj_serialized":"ActiveJob::Serializers::DurationSerializer","value":1,"parts":[["days"]]}',
    '{"_aj_serialized":"ActiveJob::Serializers::DurationSerializer","parts":[]}',
    '{"_aj_serialized":null}',
  ];
  for (const form of odd)
    test(`is also one that is not in its form: ${form}`, async () => {
      const [opaque] = (await read(withValue(form))).arguments;
      expect(opaque).toBeInstanceOf(OpaqueValue);
      expect(textOf([opaque])).toContain(`"arguments":[${form}]`);
    });

  test("is not what looks like a GlobalID and is none: it stays a Hash", async () => {
    expect((await read(withValue('{"_aj_globalid":"user 42"}'))).arguments[0]).toEqual({ _aj_globalid: "user 42" });
  });
});

describe("what goes to Rails and comes back", () => {
  const leaf = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }).filter((value) => !JSON.stringify(value).includes("_aj_")),
    fc.bigInt().filter((value) => !Number.isSafeInteger(Number(value))),
    fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31") }),
    fc.stringMatching(/^[a-z_]{1,8}[?!]?$/).map(symbol),
    fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31") })
      .map((day) => rubyDate(day.toISOString().slice(0, 10))),
    fc
      .record({ days: fc.integer(), hours: fc.integer() })
      .map((parts) => duration(parts.days * 86_400 + parts.hours * 3_600, parts)),
    fc.stringMatching(/^-?\d{1,30}\.\d{1,9}$/).map(bigDecimal),
    fc.constantFrom("User", "Shop::Order").map(rubyModule),
    fc
      .tuple(
        fc.string({ minLength: 1 }),
        fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { noNullPrototype: true }),
      )
      .map(([id, params]) => globalId("shop", "User", id, params)),
  );
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.string(), tie("value"), { maxKeys: 3, noNullPrototype: true }),
      fc.tuple(tie("value"), tie("value"), fc.boolean()).map(([begin, end, open]) => rubyRange(begin, end, open)),
    ),
  })).value;

  test("is the same, value by value", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(value, { maxLength: 4 }), async (args) => {
        expect((await read(textOf(args))).arguments).toEqual(asRead(args));
      }),
    );
  });

  /* JSON has one zero, and an integer that a number may not hold exactly is read as a bigint. */
  const asRead = (one: unknown): unknown => {
    if (typeof one === "number") return one === 0 ? 0 : asInteger(one);
    if (Array.isArray(one)) return one.map(asRead);
    if (one instanceof RubyRange) return new RubyRange(asRead(one.begin), asRead(one.end), one.excludeEnd);
    if (typeof one !== "object" || one === null || Object.getPrototypeOf(one) !== Object.prototype) return one;
    return Object.fromEntries(Object.entries(one).map(([key, member]) => [key, asRead(member)]));
  };
  const asInteger = (one: number): unknown =>
    Number.isInteger(one) && !Number.isSafeInteger(one) && Math.abs(one) < 1e21 ? BigInt(String(one)) : one;

  test("is the same for names of records, however odd", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1, unit: "grapheme" }), { minLength: 1 }), (ids) => {
        const id = globalId("shop", "User", ids);
        expect(parseGlobalId(id.uri)).toEqual(id);
        expect(String(id)).toBe(JSON.parse(JSON.stringify(id)));
      }),
    );
  });

  test("names nothing when it is no GlobalID", () => {
    for (const uri of ["", "gid://shop/User", "http://shop/User/1", "gid:///User/1", "gid://shop//1"])
      expect(parseGlobalId(uri)).toBeUndefined();
    expect(parseGlobalId("gid://shop/User/100%")?.id).toBe("100%");
  });

  test("keeps its digits and names", async () => {
    const { arguments: values } = await read(textOf([bigDecimal("0.125e2"), rubyModule("User"), rubyFloat(3)]));
    expect(values).toEqual([new RubyDecimal("0.125e2"), new RubyModule("User"), 3]);
  });
});

test("a job for Rails can be changed by a middleware like any other", () => {
  const draft = draftOf(activeJob("J", [1]), Date.now());
  expect(draft.get("wrapped")).toBe("J");
});
