/* The thread in which the heart beats, so that a blocked event loop is not a death.
 *
 * It shares nothing with the main loop but one number: when that loop turned last. If the process is killed, paused or
 * exits, the thread goes with it, and its connections with the thread: the store sees what is true.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { Registration } from "../instance.ts";
import { Heart } from "./heart.ts";
import type { HeartOptions } from "./heart.ts";
import { millisecondsSince } from "./turns.ts";

/** What the main loop says to the thread. */
export type HeartOrder = { readonly update: Registration; readonly version: number } | { readonly stop: true };

/** What the thread is started with. */
export interface ThreadData {
  readonly options: HeartOptions;
  /** Time at which the main loop turned last; see turns.ts. */
  readonly turned: SharedArrayBuffer;
}

const { options, turned } = workerData as ThreadData;
const heart = new Heart(
  options,
  () => millisecondsSince(turned),
  (signal) => parentPort!.postMessage(signal),
);

parentPort!.on("message", (order: HeartOrder) => {
  if ("update" in order) return heart.update(order.update, order.version);
  void heart.stop().then(() => process.exit()); // this thread only; a socket that is still closing would hold it for seconds
});
heart.start();
