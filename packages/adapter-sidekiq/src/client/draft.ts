/* A job before it is text. Its fields stand in the order in which they will be written: retry, queue, what the user added,
 * args, class, jid, created_at, what a middleware added (and enqueued_at behind all of it): the order of Ruby's client. */
import { randomBytes } from "node:crypto";
import { dueAt } from "./due.ts";
import { assertRules, optional, refusal } from "../refusal.ts";
import type { Rule } from "../refusal.ts";
import type { ClientJob, SidekiqJobInput } from "./types.ts";

export class Draft implements ClientJob {
  readonly #fields = new Map<string, unknown>();
  readonly #now: number;

  /** `now`: ms. */
  constructor(now: number) {
    this.#now = now;
  }

  get class(): string {
    return this.get("class") as string;
  }

  get args(): readonly unknown[] {
    return this.get("args") as readonly unknown[];
  }

  get queue(): string {
    return this.get("queue") as string;
  }

  get jid(): string {
    return this.get("jid") as string;
  }

  get at(): number | undefined {
    return this.get("at") as number | undefined;
  }

  get(field: string): unknown {
    return this.#fields.get(field);
  }

  set(field: string, value: unknown): void {
    const kept = field === "at" ? dueAt(value, this.#now) : value;
    if (kept === undefined) this.#fields.delete(field);
    else this.#fields.set(field, kept);
  }

  fields(): Iterable<readonly [string, unknown]> {
    return this.#fields;
  }
}

/**
 * A job with its defaults.
 *
 * @throws AssuranceError ERR_OPTION when a field that Sidekiq itself reads is wrong.
 */
export function draftOf(input: SidekiqJobInput, now: number): Draft {
  if (typeof input !== "object" || input === null) throw refusal("job", "an object with class and args", input);
  const { retry, queue, args, class: name, jid, created_at: createdAt, at, ...further } = input;
  const draft = new Draft(now);
  draft.set("retry", retry === undefined ? true : retry);
  draft.set("queue", queue === undefined ? "default" : queue);
  for (const [field, value] of Object.entries(further)) draft.set(field, value);
  draft.set("args", args);
  draft.set("class", name);
  draft.set("jid", jid === undefined ? newJid() : jid);
  draft.set("created_at", createdAt === undefined ? now / 1_000 : createdAt);
  draft.set("at", at);
  assertWhole(draft);
  return draft;
}

/** As Ruby's SecureRandom.hex(12). */
const newJid = (): string => randomBytes(12).toString("hex");

const isName = (value: unknown): boolean => typeof value === "string" && value !== "" && value.trim() === value;
const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;
const isFlag = (value: unknown): boolean => typeof value === "boolean";
const isAmount = (value: unknown): boolean => typeof value === "number" && value >= 0;

const NAME: Rule = [isName, "a name: text that is not empty, without spaces around it"];
const LIST: Rule = [(value) => Array.isArray(value), "an array"];

/** Ruby's client takes more for a time, and refuses it: also when its poller puts such a job into its queue again. */
const MOST_RETRY_FOR = 1_000_000_000;

/** Of what must be there, and of what Sidekiq itself reads. */
const RULES: Readonly<Record<string, Rule>> = {
  class: NAME,
  args: LIST,
  queue: NAME,
  jid: NAME,
  retry: [(value) => isFlag(value) || isCount(value), "true, false or a whole number from 0"],
  retry_for: optional([
    (value) => isAmount(value) && (value as number) <= MOST_RETRY_FOR,
    `seconds, at most ${MOST_RETRY_FOR}`,
  ]),
  retry_queue: optional(NAME),
  dead: optional([isFlag, "true or false"]),
  backtrace: optional([(value) => isFlag(value) || isCount(value), "true, false or a number of lines"]),
  tags: optional(LIST),
  created_at: optional([isAmount, "seconds or milliseconds since 1970"]),
};

/** @throws AssuranceError ERR_OPTION: a worker could not run it. */
export function assertWhole(draft: Draft): void {
  assertRules(RULES, (field) => draft.get(field));
}
