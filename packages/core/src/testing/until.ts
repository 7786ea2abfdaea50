/* Waiting in tests: for a condition with a deadline, never for luck. */
import { setTimeout as sleep } from "node:timers/promises";

const EVERY = 10;

/** Waits until `condition` gives something truthy, and gives it back. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeout = 15_000,
): Promise<Exclude<T, undefined | null | false | 0 | "">> {
  const deadline = performance.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, undefined | null | false | 0 | "">;
    if (performance.now() > deadline) throw new Error(`not within ${timeout} ms: ${what}`);
    await sleep(EVERY);
  }
}

/** A promise and the hand that settles it. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
