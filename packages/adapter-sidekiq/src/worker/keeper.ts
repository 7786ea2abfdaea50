/* Starts the keeper thread where one can be had. Without it a job that blocks the event loop for a minute lapses in
 * Sidekiq's own books; nothing of ours depends on those. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { reasonOf } from "@assured-jobs/core/adapter-kit";
import type { KeeperData } from "./keeper-thread.ts";

/** ms; what it renews lapses after 60 s. */
const INTERVAL = 10_000;

/** Returns how to stop it. `warn` hears why there is none. */
export function startKeeper(data: Omit<KeeperData, "interval">, warn: (message: string) => void): () => void {
  const file = new URL("./keeper-thread.js", import.meta.url);
  if (file.protocol !== "file:" || !existsSync(fileURLToPath(file))) {
    warn(without("its file is not beside the program, as in a single-file bundle"));
    return () => {};
  }
  try {
    const workerData: KeeperData = { ...data, interval: INTERVAL };
    const thread = new Worker(file, { workerData, execArgv: [], name: "assured-jobs-keeper" });
    thread.unref();
    thread.on("error", (error) => warn(without(reasonOf(error))));
    return () => void thread.terminate();
  } catch (error) {
    warn(without(reasonOf(error))); // e.g. connection options that hold a function cannot cross
    return () => {};
  }
}

const without = (why: string): string =>
  `No thread keeps this process in Sidekiq's books while its event loop is blocked (${why}): after a minute Sidekiq's Web and the reaper of sidekiq-unique-jobs would take it for gone.`;
