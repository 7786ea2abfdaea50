/* Many jobs of one class: the same fields, and the arguments, time and jid of each. They are made slice by slice, so that a
 * million of them need no more memory than their arguments. */
import { draftOf } from "./draft.ts";
import type { Draft } from "./draft.ts";
import { dueAt } from "./due.ts";
import { refusal } from "../refusal.ts";
import type { SidekiqBulkInput, SidekiqTime } from "./types.ts";

/** @throws AssuranceError ERR_OPTION, before the first slice, for what is wrong with the shape of any job. */
export function* bulkSlices(input: SidekiqBulkInput, size: number, now: number): Generator<readonly Draft[]> {
  const { args, at, ...shared } = input;
  assertLists(args);
  if (shared.jid !== undefined && args.length > 1) throw refusal("jid", "none: each job gets its own", shared.jid);
  const times = timesOf(at, args.length).map((one) => dueAt(one, now));
  for (let from = 0; from < args.length; from += size) {
    const slice = args.slice(from, from + size);
    yield slice.map((one, nth) => draftOf({ ...shared, args: one, at: times[from + nth] }, now));
  }
}

function assertLists(args: unknown): asserts args is readonly (readonly unknown[])[] {
  if (!Array.isArray(args)) throw refusal("args", "an array of arrays", args);
  const wrong = args.findIndex((one) => !Array.isArray(one));
  if (wrong >= 0) throw refusal(`args[${wrong}]`, "the arguments of one job, as an array: [[1], [2]]", args[wrong]);
}

function timesOf(at: SidekiqBulkInput["at"], count: number): readonly (SidekiqTime | undefined)[] {
  if (!Array.isArray(at)) return Array.from({ length: count }, () => at as SidekiqTime | undefined);
  if (at.length !== count) throw refusal("at", `one time for all, or ${count}`, `${at.length} times`);
  return at as readonly SidekiqTime[];
}
