/* Keeps what Sidekiq knows about this process from lapsing while its event loop is blocked: without it the reaper of
 * sidekiq-unique-jobs would free the lock of a job that runs. It renews times only; what stands there is the main loop's. */
import { workerData } from "node:worker_threads";
import type { StoreConnection } from "@assured-jobs/core";
import { Connection } from "../connection.ts";
import { keep } from "../scripts/beat.ts";
import { secondsText } from "../wire/timestamps.ts";

/** What the thread is started with: keys, and how often to renew, ms. */
export interface KeeperData {
  readonly target: StoreConnection;
  readonly identity: string;
  readonly processes: string;
  readonly process: string;
  readonly lists: readonly string[];
  readonly interval: number;
}

const { target, identity, processes, process: record, lists, interval } = workerData as KeeperData;
const redis = new Connection(target, "assured-jobs:keeper");

const where = [processes, record, ...lists];
const renew = (): Promise<unknown> => redis.run(keep, [where.length, ...where, identity, secondsText(Date.now())]);

setInterval(() => void renew().catch(() => {}), interval);
