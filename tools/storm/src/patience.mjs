/* Waiting for something, and never for ever. */
import { setTimeout as sleep } from "node:timers/promises";

const EVERY = 10;

/**
 * True as soon as the condition holds; false when it did not within `ms`.
 * @param {() => boolean | Promise<boolean>} condition
 * @param {number} ms
 */
export async function within(ms, condition) {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) return false;
    await sleep(EVERY);
  }
  return true;
}
