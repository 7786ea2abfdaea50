/* The simulation itself: it repeats, and it sees. */
import { expect, test } from "vitest";
import { FleetSchedule } from "./fleet.ts";
import { RecoverersSchedule } from "./recoverers.ts";
import { playAll } from "./schedules.ts";
import type { Make } from "./schedules.ts";

const LAYERS: readonly [string, Make, number][] = [
  ["recoverers", (seed, playing) => new RecoverersSchedule(seed, playing), 300],
  ["fleets", (seed, playing) => new FleetSchedule(seed, playing), 40],
];

test.each(LAYERS)("the same seeds give the same schedules of %s, step by step", async (_layer, make, count) => {
  const block = { first: 77, count };
  const [once, again] = [await playAll(make, block), await playAll(make, block)];
  expect(again).toEqual(once);
  expect((await playAll(make, { ...block, first: 78 })).hash).not.toBe(once.hash);
});

test("time, chance and identities are Node's own again between two schedules", async () => {
  const { now } = Date;
  await playAll(LAYERS[0]![1], { first: 1, count: 1 });
  expect(Date.now).toBe(now);
  expect(Math.abs(Date.now() - performance.timeOrigin - performance.now())).toBeLessThan(60_000);
});
