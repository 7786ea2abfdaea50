/* Schedules of the second layer: a fixed block, and one that is another at each time. */
import { describe, expect, test } from "vitest";
import { THEMES } from "./chaos.ts";
import { FleetSchedule } from "./fleet.ts";
import { blockOr, freshBlock, playAll } from "./schedules.ts";

const FIXED = { first: 1, count: 300 };
const FRESH = 100;

describe.each(THEMES)("a fleet with chaos of the theme %s", (theme) => {
  test.each([
    ["in schedules that are always the same", FIXED],
    ["in schedules that nobody has seen before", freshBlock(FRESH)],
  ])(
    "keeps every promise, and everything is over soon after it heals, %s",
    async (_which, usual) => {
      const block = blockOr(usual);
      const tally = await playAll((seed, playing) => new FleetSchedule(seed, { ...playing, theme }), block);
      expect(tally.schedules).toBe(block.count);
    },
    600_000,
  );
});
