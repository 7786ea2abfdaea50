/* P8 on Bee-Queue: the wall clocks of worker processes are wrong, or are set while jobs run. The real thing: everything
 * in those processes that asks for the time is lied to, Bee, Node and every thread included. */
import { until } from "@assured-jobs/core/testing";
import { observes } from "@assured-jobs/dev-crew/crew";
import { findFaketime } from "@assured-jobs/dev-crew/faketime";
import { ClockedMember } from "@assured-jobs/dev-crew/wrong-clocks";
import { expect, test } from "vitest";
import { openFleet } from "./fleet.ts";
import type { Cleanup, Fleet, ProcessOptions } from "./fleet.ts";

const { library = "", missing } = await findFaketime();
if (missing !== undefined) console.warn(`skipped: the clocks of workers. ${missing}`);
const withFaketime = test.skipIf(missing !== undefined).concurrent;

const PATIENT = { timeout: 180_000 } as const;
const LEASE = 5_000;
const STEADY: ProcessOptions = {
  assurance: { heartbeatInterval: LEASE / 6, heartbeatTtl: LEASE, presenceGrace: 1_000 },
  settings: { stallInterval: 2_000 },
  checkEvery: 1_000,
};

/** A process whose clock is so many hours from the right time. */
const spawnAt = (fleet: Fleet, cleanup: Cleanup, hours: number, options: ProcessOptions = {}): Promise<ClockedMember> =>
  ClockedMember.start((env) => fleet.spawn({ ...STEADY, env, ...options }), { library, cleanup, hours });

for (const [holding, other] of [
  [1, -1],
  [-1, 1],
] as const) {
  withFaketime(
    `a worker ${holding} h from the right time beside one that is ${other} h from it: seen at work, missed when it dies`,
    PATIENT,
    async ({ onTestFinished }) => {
      const fleet = await openFleet(STEADY.settings, { cleanup: onTestFinished });
      const holder = await spawnAt(fleet, onTestFinished, holding);
      const id = await fleet.add();
      await fleet.started(id, 1);
      const next = await spawnAt(fleet, onTestFinished, other);
      const observer = await fleet.observe();
      await until("its run is shown", async () => (await observer.snapshot.claims()).items.length === 1);
      await observes(fleet, 2 * LEASE);
      expect(fleet.told("instance.dead").map(({ payload }) => payload)).toEqual([]);
      expect(fleet.starts(id)).toHaveLength(1);
      await holder.member.kill();
      const killed = performance.now();
      expect((await fleet.started(id, 2)).process).toBe(next.member);
      expect(performance.now() - killed).toBeLessThan(2 * LEASE);
      expect(next.member.all("instance.dead")).toHaveLength(1);
    },
  );
}

withFaketime("clocks set back and forth while jobs run: nobody dies but who is killed", PATIENT, async (context) => {
  const fleet = await openFleet(STEADY.settings, { cleanup: context.onTestFinished });
  const one = await spawnAt(fleet, context.onTestFinished, 0);
  const another = await spawnAt(fleet, context.onTestFinished, 0);
  const ids = [await fleet.add({ ms: 40_000 }), await fleet.add({ ms: 40_000 })];
  for (const id of ids) await fleet.started(id, 1);
  for (const hours of [-1, 0, 1]) {
    await one.set(hours);
    await another.set(-hours || 0);
    await observes(fleet, 2 * LEASE);
    expect(fleet.told("instance.dead").map(({ payload }) => payload)).toEqual([]);
  }
  await fleet.succeeded(ids);
  for (const id of ids) expect([fleet.starts(id).length, fleet.ends(id).length]).toEqual([1, 1]);
  expect(fleet.told("instance.fenced")).toEqual([]);

  const last = await fleet.add();
  const { process: holder } = await fleet.started(last, 1);
  await holder.kill();
  await fleet.started(last, 2);
  expect(fleet.told("instance.dead")).toHaveLength(1);
});

withFaketime(
  "a suspect that is put off for a second comes back after seconds, however wrong the clock of who recovered it",
  PATIENT,
  async ({ onTestFinished }) => {
    const fleet = await openFleet(STEADY.settings, { cleanup: onTestFinished });
    await spawnAt(fleet, onTestFinished, 1, { concurrency: 0 });
    const id = await fleet.add();
    const passive = { ...STEADY, assurance: { ...STEADY.assurance, autoRecovery: false } };
    for (const run of [1, 2]) {
      const holder = await fleet.spawn(passive);
      await fleet.started(id, run);
      await holder.kill();
    }
    await fleet.spawn(passive);
    await fleet.started(id, 3);
  },
);
