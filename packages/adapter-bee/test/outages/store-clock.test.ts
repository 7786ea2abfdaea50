/* P8 on Bee-Queue: the clock of the store's own server is set, an hour ahead or back, while jobs run. Every key of ours
 * or of Bee that lapses by itself lapses at once, or an hour too late. */
import { until } from "@assured-jobs/core/testing";
import { OUTAGE, PATIENT, during } from "@assured-jobs/dev-crew/crew";
import { findFaketime } from "@assured-jobs/dev-crew/faketime";
import { startClocked } from "@assured-jobs/dev-crew/wrong-clocks";
import type { ClockedServer } from "@assured-jobs/dev-crew/wrong-clocks";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { expect, test } from "vitest";
import { openFleet } from "../crash/fleet.ts";
import type { Cleanup, Fleet } from "../crash/fleet.ts";
import { STEADY, atWork } from "./crew.ts";

const { library = "", missing } = await findFaketime();
if (missing !== undefined) console.warn(`skipped: the clock of the store. ${missing}`);
const withFaketime = test.skipIf(missing !== undefined);

async function openClocked(cleanup: Cleanup): Promise<{ fleet: Fleet; server: ClockedServer<RedisHandle> }> {
  const server = await startClocked(() => startRedis({ own: true }), { library, cleanup });
  return { fleet: await openFleet(STEADY.settings, { redis: server.redis, cleanup }), server };
}

for (const hours of [1, -1]) {
  withFaketime(
    `set ${hours} h, and right again, while jobs run: nobody dies but who was killed`,
    PATIENT,
    async ({ onTestFinished }) => {
      const { fleet, server } = await openClocked(onTestFinished);
      const crew = await atWork(fleet, OUTAGE + 2_000);
      await server.set(hours);
      await during();
      await crew.isBack();
      await crew.endedOnce();
      await crew.allLive();
      await crew.isStillMortal();
      await server.set(0);
      await during();
      expect(fleet.told("instance.dead")).toHaveLength(1);
      const id = await fleet.add({ ms: 300_000 });
      const { process: holder } = await fleet.started(id, 1);
      await holder.kill();
      await fleet.started(id, 2);
    },
  );
}

withFaketime(
  "set back while the one on duty is frozen: it is replaced within seconds",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet, server } = await openClocked(onTestFinished);
    const assurance = { heartbeatInterval: 10_000, heartbeatTtl: 600_000, recoveryInterval: 2_000 };
    const onDuty = await fleet.spawn({ ...STEADY, assurance, concurrency: 0 });
    await onDuty.heard("duty.taken");
    const holder = await fleet.spawn({ ...STEADY, assurance });
    const id = await fleet.add();
    await fleet.started(id, 1);
    const other = await fleet.spawn({ ...STEADY, assurance });
    onDuty.freeze();
    await server.set(-1);
    await holder.kill();
    await until("the orphan runs again", () => other.all("started", id).length === 1);
    onDuty.thaw();
  },
);
