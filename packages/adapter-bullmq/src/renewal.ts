/* Keeps BullMQ's renewal of locks going when the wall clock of this machine is set back.
 *
 * BullMQ renews a lock when half of its time has passed since the last renewal, by Date.now(). Set back by an hour, it
 * renews none for an hour, and every run that goes on loses its lock. A renewal that lies in the future is proof that
 * the clock was set back: such a lock is due now. Renewing one too early is harmless.
 */
import type { NativeWorker } from "./native.ts";

/** A time, ms, that every renewal is later than; 0 means to BullMQ that there was none yet. */
const LONG_AGO = 1;

/** Returns how to end it. */
export function renewInTime({ trackedJobs }: NativeWorker["lockManager"], lockDuration: number): () => void {
  const timer = setInterval(() => {
    const now = Date.now();
    for (const tracked of trackedJobs.values()) if ((tracked.ts ?? 0) > now) tracked.ts = LONG_AGO;
  }, lockDuration / 8).unref();
  return () => clearInterval(timer);
}
