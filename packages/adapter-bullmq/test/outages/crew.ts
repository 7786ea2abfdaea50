/* A crew on BullMQ, and a server that misbehaves; what must be true of it stands in @assured-jobs/dev-crew/crew. */
import { startRedis } from "@assured-jobs/dev-redis";
import { Crew, LOCK, STEADY as ASSURANCE, adminOf } from "@assured-jobs/dev-crew/crew";
import type { Redis } from "ioredis";
import { openFleet } from "../crash/fleet.ts";
import type { Cleanup, Fleet, ProcessOptions } from "../crash/fleet.ts";

export { OUTAGE, PATIENT, during, observes } from "@assured-jobs/dev-crew/crew";

/** BullMQ waits `runRetryDelay` until it repeats what a lost connection cost it. */
export const STEADY: ProcessOptions = {
  assurance: ASSURANCE,
  worker: { concurrency: 5, lockDuration: LOCK, stalledInterval: LOCK, runRetryDelay: 300 },
};

export const atWork = (fleet: Fleet, ms: number, options = STEADY): Promise<Crew<ProcessOptions>> =>
  Crew.atWork(fleet, ms, options);

export interface Scene {
  readonly fleet: Fleet;
  readonly admin: Redis;
}

/** A fleet on a private server, closed by the hook of the test's own context. */
export async function openScene(cleanup: Cleanup, args: readonly string[] = []): Promise<Scene> {
  const redis = await startRedis({ own: true, args });
  const fleet = await openFleet(undefined, { cleanup, redis });
  const admin = adminOf(redis, cleanup);
  cleanup(() => redis.resume()); // the first to run: what follows waits for answers
  return { fleet, admin };
}
