/* Plans: lists of steps, weighted so that random ones reach what is rare: deaths, zombies, late recoverers, outages. */
import fc from "fast-check";
import type { Arbitrary, WeightedArbitrary } from "fast-check";
import { DUTIES, GRACE, INTERVAL, OTHER, QUEUE, WATCH } from "./model.ts";
import { checked } from "./run.ts";
import type { Step } from "./step.ts";
import { claim } from "./steps/claims.ts";
import { accuse, declare, leaveBehind } from "./steps/deaths.ts";
import { add, fetch, finish, handOver } from "./steps/jobs.ts";
import { appear, beat, boot, leave, rebirth, register, retire, vanish } from "./steps/life.ts";
import { restart, silence, start, stepBack, stop, wipe } from "./steps/outages.ts";
import { bury, forget, open, pass, perish, read, release, requeue, settle } from "./steps/recovery.ts";
import { admit, dismiss } from "./steps/suspects.ts";
import { kill, look, patrol, yieldDuties } from "./steps/watch.ts";

export const LONGEST = 60;

/** How often the server itself goes away and comes back: on a real one this takes a while. */
export type Outages = "often" | "seldom";

const one = fc.nat(11);
const recoverer = fc.nat(1);
const nature = fc.record({
  name: fc.constantFrom("red" as const, "blue" as const),
  pulse: fc.constantFrom("thread" as const, "thread" as const, "main" as const),
  grace: fc.constantFrom(0, GRACE, 4 * GRACE),
  foreign: fc.nat(9).map((n) => n === 0),
});
const pause = fc.constantFrom(0, INTERVAL / 2, INTERVAL, 2 * INTERVAL, 2 * INTERVAL, 5 * INTERVAL);
const duties = fc.constantFrom(DUTIES, DUTIES, [WATCH], [QUEUE]);
const queue = fc.constantFrom(QUEUE, QUEUE, OTHER);
const looks = fc.integer({ min: 1, max: 5 });
const declares = fc.nat(2).map((n) => n > 0);
const withoutRecords = fc.nat(4).map((n) => n === 0);
const cause = fc.constantFrom("lapsed" as const, "absent" as const, "replaced" as const);

type Weighted = WeightedArbitrary<Step>;
type Parts<T extends unknown[]> = { readonly [K in keyof T]: Arbitrary<T[K]> };

/** A step made of random parts, chosen so often in proportion to the others. */
function often<T extends unknown[]>(weight: number, make: (...parts: T) => Step, ...parts: Parts<T>): Weighted {
  return { weight, arbitrary: fc.tuple<T>(...parts).map((some) => make(...some)) };
}

const life = [
  often(12, boot, nature),
  often(4, register, one),
  often(8, beat, one, fc.constantFrom(0, 0, 999, 1_000)),
  often(8, appear, one),
  often(8, vanish, one),
  often(2, leave, one),
  often(2, retire, one),
  often(12, rebirth, one),
  often(2, claim, one, fc.constant("add")),
  often(1, claim, one, fc.constant("remove")),
];

const watching = [
  often(24, look, one, pause, duties),
  often(12, patrol, one, looks, one, declares),
  often(24, kill, one, looks, declares),
  often(12, declare, one),
  often(2, accuse, one, cause),
  often(1, leaveBehind, one),
  often(1, yieldDuties, one),
];

const work = [
  often(6, add),
  often(
    24,
    fetch,
    one,
    fc.nat(3).map((n) => n === 0),
  ),
  often(10, finish, one, fc.boolean()),
  often(1, handOver, one),
];

const recovery = [
  often(24, pass, recoverer, fc.integer({ min: 1, max: 4 })),
  often(10, read, recoverer),
  often(16, open, recoverer),
  often(8, requeue, recoverer, one),
  often(12, bury, recoverer, one),
  often(8, settle, recoverer, fc.boolean()),
  often(1, perish, recoverer),
  often(1, forget, one),
  often(4, release, one),
  often(6, admit, one, queue, fc.boolean()),
  often(2, dismiss, one, queue),
];

const disturbances = (outages: Outages): Weighted[] => [
  ...(outages === "often" ? [often(2, stop), often(20, start, withoutRecords)] : []),
  often(outages === "often" ? 3 : 1, restart, withoutRecords),
  often(1, wipe),
  often(1, silence),
  often(3, stepBack, fc.constantFrom(1, INTERVAL, 60_000)),
];

/** Any list of up to LONGEST steps. */
export function plans(outages: Outages): Arbitrary<Iterable<Step>> {
  const any = fc.oneof(...life, ...watching, ...work, ...recovery, ...disturbances(outages));
  return fc.commands([any.map(checked)], { maxCommands: LONGEST, size: "max" });
}
