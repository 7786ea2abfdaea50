/* A job as it travels: a text that is passed on as it came, with a few members that can be read and set.
 *
 * Values are read from a parsed copy; a change is spliced into the text. Where a key stands twice the last one counts,
 * as in Ruby, and the others go when it is set.
 */
import { parseExact } from "./exact.ts";
import { membersOf } from "./spans.ts";
import type { Member } from "./spans.ts";

/** An integer that may be beyond what a JavaScript number can hold. */
const LONG_DIGITS = /\d{16}/;

/** A text, and what it says when it is a JSON object. */
export interface Read {
  readonly text: string;
  readonly payload: Payload | undefined;
}

export const readText = (text: string): Read => ({ text, payload: Payload.parse(text) });

export class Payload {
  /** Exactly as it was received. */
  readonly text: string;
  readonly #parsed: Readonly<Record<string, unknown>>;
  #members: readonly Member[] | undefined;

  private constructor(text: string, parsed: Readonly<Record<string, unknown>>) {
    this.text = text;
    this.#parsed = parsed;
  }

  /** Undefined for anything but a JSON object. */
  static parse(text: string): Payload | undefined {
    try {
      const parsed: unknown = JSON.parse(text);
      const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
      return isObject ? new Payload(text, parsed as Record<string, unknown>) : undefined;
    } catch {
      return undefined;
    }
  }

  /** The value of a member as JSON.parse reads it; undefined when there is none. */
  get(key: string): unknown {
    return Object.hasOwn(this.#parsed, key) ? this.#parsed[key] : undefined;
  }

  /** The member when it is a string that is not empty. */
  string(key: string): string | undefined {
    const value = this.get(key);
    return typeof value === "string" && value !== "" ? value : undefined;
  }

  number(key: string): number | undefined {
    const value = this.get(key);
    return typeof value === "number" ? value : undefined;
  }

  /** The member's text, e.g. `[1.0,{"b":1,"2":2}]`. */
  raw(key: string): string | undefined {
    const member = this.#all().findLast((one) => one.key === key);
    return member && this.text.slice(member.value, member.end);
  }

  /** The member with every integer exact: those beyond 2^53 are bigints. */
  exact(key: string): unknown {
    const value = this.get(key);
    if (!LONG_DIGITS.test(this.text)) return value;
    const raw = this.raw(key);
    return raw === undefined ? undefined : parseExact(raw);
  }

  /**
   * The text with members set (to JSON texts) or removed (undefined). New ones come last, in the order given; all else,
   * white space included, stays as it is.
   */
  with(changes: Readonly<Record<string, string | undefined>>): string {
    const members = this.#all();
    const last = new Map(members.map((member) => [member.key, member]));
    let edited = "";
    members.forEach((member, at) => {
      const isChanged = Object.hasOwn(changes, member.key);
      const value = isChanged ? changes[member.key] : this.text.slice(member.value, member.end);
      if (value === undefined || (isChanged && last.get(member.key) !== member)) return;
      const gap = edited === "" ? "" : this.text.slice(members[at - 1]!.end, member.start);
      edited += `${gap}${this.text.slice(member.start, member.value)}${value}`;
    });
    return this.#framed([edited, ...added(changes, last)]);
  }

  /* Between the braces, and what stands before the first member and behind the last one. */
  #framed(parts: readonly string[]): string {
    const members = this.#all();
    const start = members[0]?.start ?? this.text.indexOf("{") + 1;
    const end = members.at(-1)?.end ?? start;
    return `${this.text.slice(0, start)}${parts.filter(Boolean).join(",")}${this.text.slice(end)}`;
  }

  #all(): readonly Member[] {
    this.#members ??= membersOf(this.text);
    return this.#members;
  }
}

const added = (changes: Readonly<Record<string, string | undefined>>, present: ReadonlyMap<string, Member>): string[] =>
  Object.entries(changes)
    .filter(([key, text]) => text !== undefined && !present.has(key))
    .map(([key, text]) => `${JSON.stringify(key)}:${text}`);
