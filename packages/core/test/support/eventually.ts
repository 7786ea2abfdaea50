import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

const DEADLINE = 20_000;
const STEP = 20;

/** Waits for a condition; fails with what was waited for. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadline = DEADLINE,
): Promise<void> {
  for (const end = Date.now() + deadline; !(await condition()); await sleep(STEP)) {
    assert.ok(Date.now() < end, `still waiting after ${deadline} ms: ${what}`);
  }
}
