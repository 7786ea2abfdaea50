/* Plays many seeds, and says of the first that breaks a promise how to see it again, with as little as possible of
 * what went wrong in it. */
import { install } from "./realm.ts";
import type { Playing, World } from "./world.ts";

/** One schedule, ready to be played. */
interface Schedule {
  readonly world: World;
  play(): Promise<void>;
}

export type Make = (seed: number, playing?: Playing) => Schedule;

export interface Block {
  readonly first: number;
  readonly count: number;
}

/** What many schedules came to. */
export interface Tally {
  readonly schedules: number;
  /** Of all traces together. */
  readonly hash: number;
  readonly virtualHours: number;
  readonly misfortunes: number;
}

/** Between so many schedules Node gets a turn. */
const BREATH = 20;
/** How much of a trace is shown. */
const SHOWN = 60;

/** SIM_SEED and SIM_SCHEDULES play another block: to see a failure again, or to search for long. */
export function blockOr(usual: Block): Block {
  const { SIM_SEED: seed, SIM_SCHEDULES: count } = process.env;
  if (seed === undefined && count === undefined) return usual;
  return { first: Number(seed ?? usual.first), count: Number(count ?? 1) };
}

/** Another one at each time; its first seed is printed with the failure. */
export function freshBlock(count: number): Block {
  return { first: Math.floor(Math.random() * 2 ** 31), count };
}

/** Rejects with a report at the first seed that breaks a promise. */
export async function playAll(make: Make, { first, count }: Block): Promise<Tally> {
  const tally = { schedules: 0, hash: 0, virtualHours: 0, misfortunes: 0 };
  const uninstall = install();
  try {
    for (let seed = first; seed < first + count; seed++) {
      const world = await playOne(make, seed);
      if (world.violations.length > 0) throw new Error(await report(make, seed));
      tally.schedules++;
      tally.hash = (Math.imul(tally.hash, 31) + world.hash) >>> 0;
      tally.virtualHours += world.clock.elapsed / 3_600_000;
      tally.misfortunes += world.fates.struck.length;
      if (seed % BREATH === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return tally;
  } finally {
    uninstall();
  }
}

async function playOne(make: Make, seed: number, playing?: Playing): Promise<World> {
  const schedule = make(seed, playing);
  try {
    await schedule.play();
  } catch (error) {
    schedule.world.violations.push(`it threw: ${error instanceof Error ? error.stack : String(error)}`);
  }
  return schedule.world;
}

async function report(make: Make, seed: number): Promise<string> {
  const spared = await spareAsMuch(make, seed);
  const world = await playOne(make, seed, { spared, traced: true });
  const { trace, violations, fates } = world;
  const shown = trace.length > SHOWN ? [`(${trace.length - SHOWN} steps before)`, ...trace.slice(-SHOWN)] : trace;
  return [
    `Seed ${seed} breaks a promise: ${violations[0]}`,
    `Again: SIM_SEED=${seed} SIM_SCHEDULES=1. It takes ${fates.struck.length} misfortunes; without ${spared.size} others:`,
    ...shown,
  ].join("\n");
}

/* One after another, whatever can be spared is: what is left is needed. */
async function spareAsMuch(make: Make, seed: number): Promise<ReadonlySet<number>> {
  const spared = new Set<number>();
  const { fates } = await playOne(make, seed);
  for (const misfortune of fates.struck.toReversed()) {
    spared.add(misfortune);
    const { violations } = await playOne(make, seed, { spared });
    if (violations.length === 0) spared.delete(misfortune);
  }
  return spared;
}
