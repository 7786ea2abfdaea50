/* JSON texts as other programs write them: with what JavaScript has no value for, and all that the grammar allows. */
import fc from "fast-check";

const space = fc.oneof({ weight: 4, arbitrary: fc.constant("") }, fc.stringMatching(/^[ \t\n\r]{0,3}$/));

const digits = fc.stringMatching(/^(0|[1-9]\d{0,40})$/);
const number = fc.oneof(
  fc.tuple(fc.constantFrom("", "-"), digits).map((parts) => parts.join("")),
  fc.stringMatching(/^-?(0|[1-9]\d{0,20})\.\d{1,20}$/),
  fc.stringMatching(/^-?[1-9](\.\d{1,3})?[eE][+-]?\d{1,2}$/),
  fc.constantFrom("1.0", "1.0e+20", "1.0e-05", "-0.0", "-0", "9007199254740993", "0.1000"),
);

const character = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 8 }).map((text) => JSON.stringify(text).slice(1, -1)),
  fc.constantFrom(
    "\\/",
    "\\u003c",
    "\\uD83D\\ude00",
    "\\ud800",
    "\\\\",
    '\\"',
    "\u2028",
    "\u007f",
    "{",
    "}]",
    ",",
    ":",
    "é",
  ),
);
const stringText: fc.Arbitrary<string> = fc.array(character, { maxLength: 5 }).map((all) => `"${all.join("")}"`);

const scalar = fc.oneof(number, stringText, fc.constantFrom("true", "false", "null"));

const keyText = fc.oneof(
  stringText,
  fc.constantFrom('"args"', '"jid"', '"\\u0061rgs"', '"__proto__"', '"toString"', '"10"', '"2"', '""'),
);

export interface MemberText {
  readonly key: string;
  /** With its quotes. */
  readonly keyText: string;
  readonly colon: string;
  readonly value: string;
  /** What stands before it and behind it. */
  readonly space: readonly [string, string];
}

const { value, member } = fc.letrec<{ value: string; member: MemberText }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthIdentifier: "json" },
    scalar,
    fc.array(tie("value"), { maxLength: 4, depthIdentifier: "json" }).chain((all) => joined("[", all, "]")),
    fc.array(tie("member"), { maxLength: 4, depthIdentifier: "json" }).map(objectText),
  ),
  member: fc
    .record({
      keyText,
      value: tie("value"),
      space: fc.tuple(space, space),
      colon: fc.tuple(space, space).map(([before, after]) => `${before}:${after}`),
    })
    .map((one) => ({ ...one, key: JSON.parse(one.keyText) as string })),
}));

function joined(open: string, all: readonly string[], close: string): fc.Arbitrary<string> {
  return fc.array(space, { minLength: all.length * 2 + 1, maxLength: all.length * 2 + 1 }).map((gaps) => {
    const inner = all.map((one, at) => `${gaps[2 * at]}${one}${gaps[2 * at + 1]}`).join(",");
    return `${open}${all.length === 0 ? gaps[0] : inner}${close}`;
  });
}

export function objectText(members: readonly MemberText[]): string {
  return `{${members.map(memberText).join(",")}}`;
}

export const memberText = ({ keyText: key, colon, value: text, space: [before, after] }: MemberText): string =>
  `${before}${key}${colon}${text}${after}`;

export const valueText: fc.Arbitrary<string> = value;
export const members: fc.Arbitrary<readonly MemberText[]> = fc.array(member, { maxLength: 6 });
