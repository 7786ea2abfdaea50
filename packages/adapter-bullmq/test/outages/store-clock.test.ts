/* P8: the clock of the store's own server is set, an hour ahead or back, while jobs run. Every key of ours or of
 * BullMQ that lapses by itself lapses at once, or an hour too late. */
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import type { Cleanup } from "../crash/fleet.ts";
import { openFleet } from "../crash/fleet.ts";
import type { Fleet } from "../crash/fleet.ts";
import { until } from "@assured-jobs/core/testing";
import { Crew, OUTAGE, PATIENT, STEADY, during } from "./crew.ts";
import { Clock, findFaketime } from "./faketime.ts";

const { library = "", missing } = await findFaketime();
if (missing !== undefined) console.warn(`skipped: the clock of the store. ${missing}`);
const withFaketime = test.skipIf(missing !== undefined);

/** Behind libfaketime, and before the allocator of Redis, which would ask for the time before there is any. */
const LIBC = "libc.so.6";

/* dev-redis hands its own environment on; nothing else starts in this file meanwhile. */
async function startWithin(clock: Clock): Promise<RedisHandle> {
  const before = { ...process.env };
  Object.assign(process.env, clock.env, { LD_PRELOAD: `${library} ${LIBC}` });
  try {
    return await startRedis({ own: true });
  } finally {
    for (const name of Object.keys(clock.env)) {
      if (before[name] === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = before[name];
    }
  }
}

async function openClocked(
  cleanup: Cleanup,
): Promise<{ fleet: Fleet; clock: Clock; hoursAhead: () => Promise<number> }> {
  const clock = await Clock.open(library, cleanup);
  const redis = await startWithin(clock);
  const admin = new Redis(redis.port);
  cleanup(() => admin.disconnect());
  const hoursAhead = async (): Promise<number> =>
    Math.round((Number((await admin.time())[0]) - Date.now() / 1_000) / 3_600) || 0;
  return { fleet: await openFleet(undefined, { redis, cleanup }), clock, hoursAhead };
}

for (const hours of [1, -1]) {
  withFaketime(
    `set ${hours} h, and right again, while jobs run: nobody dies but who was killed`,
    PATIENT,
    async (context) => {
      const { fleet, clock, hoursAhead } = await openClocked(context.onTestFinished);
      const crew = await Crew.atWork(fleet, OUTAGE + 2_000);
      await clock.set(hours);
      await until("its clock is wrong", async () => (await hoursAhead()) === hours);
      await during();
      await crew.isBack();
      await crew.endedOnce();
      await crew.allLive();
      await crew.isStillMortal();
      await clock.set(0);
      await until("its clock is right", async () => (await hoursAhead()) === 0);
      await during();
      expect(fleet.told("instance.dead")).toHaveLength(1);
      const id = await fleet.add({ ms: 300_000 });
      const { process: holder } = await fleet.started(id, 1);
      await fleet.spawn(STEADY);
      await holder.kill();
      await fleet.started(id, 2);
    },
  );
}

withFaketime("set back while the one on duty is paused: it is replaced within seconds", PATIENT, async (context) => {
  const { fleet, clock, hoursAhead } = await openClocked(context.onTestFinished);
  const patient = {
    ...STEADY,
    assurance: { heartbeatInterval: 10_000, heartbeatTtl: 600_000, recoveryInterval: 2_000 },
  };
  const onDuty = await fleet.spawn({ ...patient, worker: null });
  await onDuty.heard("duty.taken");
  const holder = await fleet.spawn(patient);
  const id = await fleet.add();
  await fleet.started(id, 1);
  const other = await fleet.spawn(patient);
  onDuty.freeze();
  await clock.set(-1);
  await until("its clock is wrong", async () => (await hoursAhead()) === -1);
  await holder.kill();
  await until("the orphan runs again", () => other.all("started", id).length === 1, 15_000);
  onDuty.thaw();
});
