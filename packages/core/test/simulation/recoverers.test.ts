/* Schedules of the first layer, always the same ones. */
import { expect, test } from "vitest";
import { RecoverersSchedule } from "./recoverers.ts";
import { blockOr, playAll } from "./schedules.ts";

const FIXED = { first: 1, count: 60_000 };

test("no job is lost, doubled or buried unjustly, whichever step of a recoverer or a worker is its last", async () => {
  const block = blockOr(FIXED);
  const tally = await playAll((seed, playing) => new RecoverersSchedule(seed, playing), block);
  expect(tally.schedules).toBe(block.count);
}, 1_200_000);
