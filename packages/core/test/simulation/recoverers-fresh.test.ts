/* Schedules of the first layer, others at each time: their first seed is in the message when one fails. */
import { expect, test } from "vitest";
import { RecoverersSchedule } from "./recoverers.ts";
import { blockOr, freshBlock, playAll } from "./schedules.ts";

const FRESH = 45_000;

test("no job is lost, doubled or buried unjustly in schedules that nobody has seen before", async () => {
  const block = blockOr(freshBlock(FRESH));
  const tally = await playAll((seed, playing) => new RecoverersSchedule(seed, playing), block);
  expect(tally.schedules).toBe(block.count);
}, 1_200_000);
