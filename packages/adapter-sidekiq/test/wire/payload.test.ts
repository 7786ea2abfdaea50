/* A job is passed on as it came: what is not asked to change does not change, whatever a Ruby program wrote. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseExact } from "../../src/wire/exact.ts";
import { Payload } from "../../src/wire/payload.ts";
import { membersOf } from "../../src/wire/spans.ts";
import { memberText, members, objectText, valueText } from "./support/json-texts.ts";
import type { MemberText } from "./support/json-texts.ts";

const payloadOf = (text: string): Payload => {
  const payload = Payload.parse(text);
  if (!payload) throw new Error(`no payload: ${text}`);
  return payload;
};

/* The first member keeps what stands before it, each other one what stands between it and the one before. */
function expected(all: readonly MemberText[], changes: Readonly<Record<string, string | undefined>>): string {
  const kept = all.filter(({ key }, at) => {
    if (!Object.hasOwn(changes, key)) return true;
    return changes[key] !== undefined && all.findLastIndex((one) => one.key === key) === at;
  });
  const text = kept
    .map((one, at) => {
      const value = Object.hasOwn(changes, one.key) ? changes[one.key]! : one.value;
      const before = all[all.indexOf(one) - 1];
      const gap = at === 0 ? "" : `${before!.space[1]},${one.space[0]}`;
      return `${gap}${one.keyText}${one.colon}${value}`;
    })
    .join("");
  const added = Object.entries(changes).filter(
    ([key, value]) => value !== undefined && !all.some((one) => one.key === key),
  );
  const parts = [...(text === "" ? [] : [text]), ...added.map(([key, value]) => `${JSON.stringify(key)}:${value}`)];
  return `{${all[0]?.space[0] ?? ""}${parts.join(",")}${all.at(-1)?.space[1] ?? ""}}`;
}

const changes = fc.dictionary(
  fc.oneof(fc.constantFrom("args", "jid", "10", "toString", "enqueued_at"), fc.string({ maxLength: 4 })),
  fc.option(valueText, { nil: undefined }),
  { maxKeys: 4, noNullPrototype: true },
);

describe("an edit", () => {
  test("keeps all else byte for byte, white space and duplicates included", () => {
    fc.assert(
      fc.property(members, changes, (all, edits) => {
        expect(payloadOf(objectText(all)).with(edits)).toBe(expected(all, edits));
      }),
      { numRuns: 2_000 },
    );
  });

  test("of members that are there touches only their values", () => {
    fc.assert(
      fc.property(members, valueText, fc.nat(), (all, value, pick) => {
        const one = all[pick % Math.max(all.length, 1)];
        fc.pre(one !== undefined && all.filter(({ key }) => key === one.key).length === 1);
        const edited = all.map((each) => (each === one ? memberText({ ...one, value }) : memberText(each)));
        expect(payloadOf(objectText(all)).with({ [one.key]: value })).toBe(`{${edited.join(",")}}`);
      }),
    );
  });

  test("of nothing gives the text back", () => {
    fc.assert(fc.property(members, (all) => payloadOf(objectText(all)).with({}) === objectText(all)));
  });

  test("can be undone by its inverse", () => {
    const text = '{ "args" : [1.0] , "enqueued_at":1.5}';
    const edited = payloadOf(text).with({ enqueued_at: "2.5", retry_count: "0" });
    expect(edited).toBe('{ "args" : [1.0] , "enqueued_at":2.5,"retry_count":0}');
    expect(payloadOf(edited).with({ enqueued_at: "1.5", retry_count: undefined })).toBe(text);
  });

  test("is seen by whoever reads the text", () => {
    fc.assert(
      fc.property(members, changes, (all, edits) => {
        const edited = payloadOf(payloadOf(objectText(all)).with(edits));
        for (const [key, value] of Object.entries(edits)) expect(edited.raw(key)).toBe(value);
      }),
    );
  });
});

describe("a member", () => {
  test("is found where JSON.parse finds it", () => {
    fc.assert(
      fc.property(members, (all) => {
        const text = objectText(all);
        const payload = payloadOf(text);
        for (const { key } of all) {
          expect(payload.get(key)).toEqual((JSON.parse(text) as Record<string, unknown>)[key]);
          expect(JSON.parse(payload.raw(key)!)).toEqual(payload.get(key));
        }
      }),
    );
  });

  test("stands in the text where its span says", () => {
    fc.assert(
      fc.property(members, (all) => {
        const text = objectText(all);
        const found = membersOf(text).map(({ key, start, value, end }) => [
          key,
          text.slice(start, value),
          text.slice(value, end),
        ]);
        expect(found).toEqual(all.map((one) => [one.key, `${one.keyText}${one.colon}`, one.value]));
      }),
    );
  });

  test("that no job has is undefined, also when objects of JavaScript have it", () => {
    const payload = payloadOf('{"a":1}');
    for (const key of ["toString", "constructor", "__proto__", "b"]) {
      expect(payload.get(key)).toBeUndefined();
      expect(payload.raw(key)).toBeUndefined();
      expect(payload.with({ [key]: undefined })).toBe('{"a":1}');
    }
  });

  test("of a payload with surrounding white space can be set", () => {
    expect(payloadOf(" { } ").with({ a: "1" })).toBe(' {"a":1 } ');
  });
});

describe("exact values", () => {
  /* What JSON.parse reads, with each number that it cannot hold as its digits. */
  const withBigints = (value: unknown): unknown => {
    if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) return "big";
    if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? value : "big";
    if (Array.isArray(value)) return value.map(withBigints);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withBigints(one)]));
  };

  test("are those of JSON.parse but for long integers", () => {
    fc.assert(
      fc.property(valueText, (text) => {
        expect(withBigints(parseExact(text))).toEqual(withBigints(JSON.parse(text)));
      }),
      { numRuns: 1_000 },
    );
  });

  test("hold each digit of an integer", () => {
    fc.assert(
      fc.property(fc.bigInt(), (value) => {
        const exact = payloadOf(`{"args":[${value},{"id":${value}}]}`).exact("args") as [number, { id: number }];
        expect(BigInt(exact[0])).toBe(value);
        expect(BigInt(exact[1].id)).toBe(value);
      }),
    );
  });

  test("are read where a key stands twice with different values", () => {
    const payload = payloadOf('{"args":[{"a":1,"a":9007199254740993}]}');
    expect(payload.exact("args")).toEqual([{ a: 9007199254740993n }]);
  });

  test("of a member that is not there are undefined", () => {
    expect(payloadOf('{"a":9007199254740993}').exact("b")).toBeUndefined();
  });
});

describe("what is no job", () => {
  for (const text of ["", "not json", "[]", "null", "7", '"text"', '{"a":1', '{"a":1}}', "\ufeff{}"])
    test(`is told from one: ${JSON.stringify(text)}`, () => expect(Payload.parse(text)).toBeUndefined());
});
