/* A crew on Bee-Queue, and a server that misbehaves; what must be true of it stands in @assured-jobs/dev-crew/crew. */
import { Crew, LOCK, STEADY as ASSURANCE, adminOf } from "@assured-jobs/dev-crew/crew";
import { startRedis } from "@assured-jobs/dev-redis";
import type { Redis } from "ioredis";
import { openFleet } from "../crash/fleet.ts";
import type { Cleanup, Fleet, ProcessOptions } from "../crash/fleet.ts";

const settings = { stallInterval: LOCK };

/** Bee's own stall check goes on in every process, as often as Bee advises. */
export const STEADY: ProcessOptions = { assurance: ASSURANCE, concurrency: 5, settings, checkEvery: LOCK / 2 };

export const atWork = (fleet: Fleet, ms: number): Promise<Crew<ProcessOptions>> => Crew.atWork(fleet, ms, STEADY);

export interface Scene {
  readonly fleet: Fleet;
  readonly admin: Redis;
}

/** A fleet on a private server, closed by the hook of the test's own context. */
export async function openScene(cleanup: Cleanup, args: readonly string[] = []): Promise<Scene> {
  const redis = await startRedis({ own: true, args });
  const fleet = await openFleet(settings, { cleanup, redis });
  const admin = adminOf(redis, cleanup);
  cleanup(() => redis.resume()); // the first to run: what follows waits for answers
  return { fleet, admin };
}
