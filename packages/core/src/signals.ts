/* SIGTERM and SIGINT: hand over, then exit. The process must go right after: a handler that was handed over and still
 * runs would overlap with its re-run. */
import { constants } from "node:os";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** Returns how to switch it off again. A second signal exits at once. */
export function stopOnSignals(stop: () => Promise<unknown>): () => void {
  let stopping = false;
  const leave = (signal: NodeJS.Signals): void => {
    const exit = (): never => process.exit(128 + constants.signals[signal]);
    if (stopping) exit();
    stopping = true;
    void stop().then(exit, exit);
  };
  for (const signal of SIGNALS) process.on(signal, leave);
  return () => {
    for (const signal of SIGNALS) process.off(signal, leave);
  };
}
