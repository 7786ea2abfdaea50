/* One number that two threads share: when the main loop turned last.
 *
 * In microseconds of the process's monotonic clock, which is the same in all its threads; wall clocks may jump.
 */
const now = (): bigint => process.hrtime.bigint() / 1_000n;

/** Writes the time now, and again every `interval` ms for as long as the loop turns. Returns how to end it. */
export function recordTurns(turned: SharedArrayBuffer, interval: number): () => void {
  const cell = new BigInt64Array(turned);
  const record = (): void => void Atomics.store(cell, 0, now());
  record();
  const timer = setInterval(record, interval).unref();
  return () => clearInterval(timer);
}

export function millisecondsSince(turned: SharedArrayBuffer): number {
  return Number(now() - Atomics.load(new BigInt64Array(turned), 0)) / 1_000;
}
