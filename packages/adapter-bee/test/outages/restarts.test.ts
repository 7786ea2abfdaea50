/* P7 on Bee-Queue: a server that goes away and comes back, with all of its data or with nothing. Nobody was ever seen
 * present on it then, so who lives must not look absent; and every connection of Bee's and ours was lost. */
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@assured-jobs/core/testing";
import { OUTAGE, PATIENT, during, observes } from "@assured-jobs/dev-crew/crew";
import { expect, test } from "vitest";
import type { Member } from "../crash/fleet.ts";
import { STEADY, atWork, openScene } from "./crew.ts";

const DURABLE = ["--appendonly", "yes", "--appendfsync", "always"];

test.concurrent(
  "Redis is killed, and back with its data after every lease has run out: all live, each job has run once",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet } = await openScene(onTestFinished, DURABLE);
    const crew = await atWork(fleet, OUTAGE + 3_000);
    await fleet.redis.kill();
    await during();
    await fleet.redis.restart();
    await crew.isBack();
    await crew.endedOnce();
    await crew.allLive();
    await crew.isStillMortal();
  },
);

test.concurrent(
  "back without any data: its jobs are gone with it, nobody dies, and new jobs are as safe as ever",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet } = await openScene(onTestFinished);
    const crew = await atWork(fleet, OUTAGE);
    await fleet.redis.restart({ wipe: true });
    await crew.isBack();
    const fresh = await fleet.addUnique({ ms: 10 });
    await until("a new job ends", () => fleet.isDone(fresh));
    const ended = (id: string): boolean =>
      [...fleet.told("returned"), ...fleet.told("aborted")].some((told) => told.id === id);
    await until("every handler has ended, or was told that its run is gone", () => crew.ids.every(ended));
    for (const id of [...crew.ids, fresh]) expect(fleet.starts(id), id).toHaveLength(1);
    const observer = await fleet.observe();
    await until("nothing is left that does not add up", async () => (await observer.audit()).findings.length === 0);
    expect(await fleet.scene.redis.smembers(fleet.scene.keys.succeeded)).toEqual([fresh]);
    await crew.allLive();
    await crew.isStillMortal();
  },
);

test.concurrent(
  "frozen while Redis restarts, a process is not absent: nobody has seen it there",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet } = await openScene(onTestFinished, DURABLE);
    const crew = await atWork(fleet, OUTAGE);
    const [frozen, ...others] = crew.team as [Member, ...Member[]];
    frozen.freeze();
    await fleet.redis.restart();
    await Promise.all(others.map((one) => one.heard("store.up")));
    await observes(fleet, 3_000); // three graces, half a lease
    frozen.thaw();
    await crew.isBack();
    await crew.allLive();
    await crew.endedOnce();
    await crew.isStillMortal();
  },
);

test.concurrent(
  "restarted every two seconds: nobody dies of it, and one that does is not kept alive by it",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet } = await openScene(onTestFinished, DURABLE);
    const crew = await atWork(fleet, 20_000);
    const held = await fleet.add({ ms: 300_000 });
    const { process: holder } = await fleet.started(held, 1);
    const isFound = (): boolean => fleet.told("instance.dead").length > 0;
    const restarts = new AbortController();
    onTestFinished(() => restarts.abort());
    const restarting = (async () => {
      for (let n = 0; !restarts.signal.aborted && (n < 8 || !isFound()); n++) {
        await fleet.redis.restart();
        await sleep(2_000); // less than a lease
      }
    })();
    await holder.kill();
    await until("the dead one is found, though restarts go on", isFound, 120_000);
    expect((await fleet.started(held, 2)).process).not.toBe(holder);
    await restarting;
    const dead = (await fleet.store.roster.dead()).map(({ registration }) => registration.incarnation);
    expect(dead).toEqual([holder.incarnation]);
    for (const id of crew.ids) await until(`job ${id} ends`, () => fleet.isDone(id), 60_000);
    await crew.acceptedOnce();
    expect(fleet.told("instance.fenced")).toEqual([]);
  },
);

const SLOTS = 20;

for (const order of ["before", "after"] as const)
  test.concurrent(
    `Redis is away for three seconds: all ${SLOTS} slots of a worker work again within ten (process() was called ${order} start())`,
    PATIENT,
    async ({ onTestFinished }) => {
      const { fleet } = await openScene(onTestFinished, DURABLE);
      const adding = Promise.all(Array.from({ length: 3 * SLOTS }, () => fleet.add({ ms: 50 })));
      const early = order === "before" ? { early: 3 * SLOTS } : {};
      const worker = await fleet.spawn({ ...STEADY, concurrency: SLOTS, ...early });
      const first = await adding;
      await until("every slot has worked", () => worker.all("succeeded").length === first.length);
      await fleet.redis.kill();
      await during(3_000);
      await fleet.redis.restart();
      const back = performance.now();
      const ids = await Promise.all(Array.from({ length: SLOTS }, () => fleet.addUnique({ ms: 60_000 })));
      for (const id of ids) await fleet.started(id, 1);
      expect(performance.now() - back).toBeLessThan(10_000);
      expect(worker.all("returned")).toHaveLength(first.length);
    },
  );
