/* P10 on Bee-Queue: recovery goes on whoever is missing. The one on duty is known by what it told; leases are so long
 * here that nobody is replaced because it is taken for dead. */
import { until } from "@assured-jobs/core/testing";
import { STEADY as LEASES, observes } from "@assured-jobs/dev-crew/crew";
import { expect, test } from "vitest";
import { openFleet } from "./fleet.ts";
import type { Fleet, Member, ProcessOptions } from "./fleet.ts";

const LONG = { timeout: 90_000 } as const;
const SECONDS = 10_000;
/** Deaths are known by their absence; no lease runs out on a busy machine. */
const STEADY = { ...LEASES, presenceGrace: 200 } as const;
const PATIENT = { assurance: { heartbeatInterval: 10_000, heartbeatTtl: 60_000 } } as const;

/** Has both duties: to watch the fleet, and to recover the queue. */
async function spawnOnDuty(fleet: Fleet, options: ProcessOptions): Promise<Member> {
  const member = await fleet.spawn({ ...PATIENT, ...options });
  await until("it is on duty", () => member.all("duty.taken").length === 2);
  return member;
}

async function holding(fleet: Fleet): Promise<[Member, string]> {
  const holder = await fleet.spawn(PATIENT);
  const id = await fleet.add();
  expect((await fleet.started(id, 1)).process).toBe(holder);
  return [holder, id];
}

async function isReplaced(fleet: Fleet, [holder, id]: readonly [Member, string], by: Member): Promise<void> {
  await holder.kill();
  const killed = performance.now();
  expect((await fleet.started(id, 2)).process).toBe(by);
  expect(performance.now() - killed).toBeLessThan(SECONDS);
  expect(by.all("duty.taken")).not.toEqual([]);
  expect((await fleet.store.roster.dead()).map(({ registration }) => registration.incarnation)).toEqual([
    holder.incarnation,
  ]);
  expect(await fleet.recoveries(id)).toBe(1);
}

test("a frozen holder of the duty is replaced within seconds, and not taken for dead", LONG, async () => {
  const fleet = await openFleet();
  const onDuty = await spawnOnDuty(fleet, { concurrency: 0 });
  const doomed = await holding(fleet);
  const other = await fleet.spawn(PATIENT);
  onDuty.freeze();
  await isReplaced(fleet, doomed, other);
  onDuty.thaw();
});

test("a blocked holder of the duty is replaced within seconds, and keeps its job", LONG, async () => {
  const fleet = await openFleet();
  const onDuty = await spawnOnDuty(fleet, {});
  const block = await fleet.add({ task: "block", ms: 20_000 });
  await fleet.started(block, 1);
  const doomed = await holding(fleet);
  const other = await fleet.spawn(PATIENT);
  await isReplaced(fleet, doomed, other);
  expect(onDuty.all("returned")).toEqual([]);
  await fleet.succeeded([block]);
  expect([fleet.starts(block).length, fleet.ends(block)]).toEqual([1, [onDuty.child.pid]]);
});

test(
  "of three processes each that gets the job is killed: whoever is left gives it back, until one is",
  LONG,
  async () => {
    const fleet = await openFleet();
    const id = await fleet.add();
    const options = { assurance: { ...STEADY, maxRecoveries: 100 } };
    const crew = [await fleet.spawn(options), await fleet.spawn(options), await fleet.spawn(options)];
    const left = new Set(crew);
    for (let run = 1; run <= crew.length; run++) {
      const { process: holder } = await fleet.started(id, run);
      expect(left.delete(holder)).toBe(true);
      if (left.size > 0) await holder.kill();
    }
    expect(await fleet.recoveries(id)).toBe(crew.length - 1);
  },
);

test("an orphan of a queue that nobody knows is kept and shown, and recovered when somebody does", LONG, async () => {
  const fleet = await openFleet();
  const holder = await fleet.spawn({ assurance: STEADY });
  const id = await fleet.add();
  await fleet.started(id, 1);
  const assurance = { ...STEADY, delayedRecoveryInterval: 100, delayedRecoveryCount: 1_000 };
  const stranger = await fleet.spawn({ queue: `${fleet.scene.name}-other`, assurance });
  await holder.kill();
  await stranger.heard("instance.dead");
  const told = await stranger.heard("orphan.unknown-queue");
  expect(told.payload).toEqual({ queue: fleet.scene.key, incarnation: holder.incarnation });
  await observes(fleet, 1_000); // ten passes of somebody who does not know the queue
  const observer = await fleet.observe();
  expect((await observer.snapshot.instances({ state: "dead" })).items).toMatchObject([
    { incarnation: holder.incarnation, queues: [fleet.scene.key] },
  ]);
  expect(await fleet.scene.active()).toEqual([id]);
  const next = await fleet.spawn();
  expect((await fleet.started(id, 2)).process).toBe(next);
  expect(await fleet.recoveries(id)).toBe(1);
});
