/* P7: a server that goes away and comes back, with all of its data, with some of it, or with nothing. It has another
 * run_id then, so nobody was ever seen present on it: who lives must not look absent, and who died must not live on. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { until } from "@assured-jobs/core/testing";
import { Crew } from "@assured-jobs/dev-crew/crew";
import type { Member } from "../crash/fleet.ts";
import { OUTAGE, PATIENT, STEADY, atWork, during, observes, openScene } from "./crew.ts";

const DURABLE = ["--appendonly", "yes", "--appendfsync", "always"];

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test.concurrent(
    `ended by ${signal}, and back with its data after every lease has run out`,
    PATIENT,
    async ({ onTestFinished }) => {
      const { fleet } = await openScene(onTestFinished, DURABLE);
      const crew = await atWork(fleet, OUTAGE + 3_000);
      await fleet.redis.kill(signal);
      await during();
      await fleet.redis.restart();
      await crew.isBack();
      await crew.endedOnce();
      await crew.allLive();
      await crew.isStillMortal();
    },
  );
}

test.concurrent(
  "paused while Redis restarts, a process is not absent: nobody has seen it there",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet } = await openScene(onTestFinished, DURABLE);
    const crew = await atWork(fleet, OUTAGE);
    const [paused, ...others] = crew.team as [Member, ...Member[]];
    paused.freeze();
    await fleet.redis.restart();
    await until("the others look again", () => fleet.store.roster.dead().catch(() => undefined));
    await Promise.all(others.map((one) => one.heard("store.up")));
    await observes(fleet, 3_000); // three graces, half a lease
    paused.thaw();
    await crew.isBack();
    await crew.allLive();
    await crew.endedOnce();
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
    for (const id of crew.ids) expect(await fleet.stateOf(id)).toBe("unknown");
    const fresh = await fleet.add({ ms: 10 }, { jobId: "fresh" });
    await until("a new job ends", async () => (await fleet.stateOf(fresh)) === "completed");
    const ended = (id: string): boolean =>
      [...fleet.told("returned"), ...fleet.told("aborted")].some((told) => told.id === id);
    await until("every handler has ended, or was told that its run is gone", () => crew.ids.every(ended));
    for (const id of [...crew.ids, fresh]) expect(fleet.starts(id), id).toHaveLength(1);
    const observer = await fleet.observe();
    await until("nothing is left that does not add up", async () => (await observer.audit()).findings.length === 0);
    expect(await fleet.queue.getCompletedCount()).toBe(1);
    await crew.allLive();
    await crew.isStillMortal();
  },
);

test.concurrent(
  "restarted every two seconds for half a minute: nobody dies of it, and one that does is not kept alive by it",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet } = await openScene(onTestFinished, DURABLE);
    const crew = await atWork(fleet, 32_000);
    const held = await fleet.queue.add("job", { ms: 300_000 });
    const { process: holder } = await fleet.started(held.id!, 1);
    const least = performance.now() + 30_000;
    const isFound = (): boolean => fleet.told("instance.dead").length > 0;
    const restarts = new AbortController();
    const restarting = (async () => {
      while (!restarts.signal.aborted && (performance.now() < least || !isFound())) {
        await fleet.redis.restart();
        await sleep(2_000); // less than a lease
      }
    })();
    await holder.kill();
    onTestFinished(() => restarts.abort());
    await until("the dead one is found, though restarts go on", isFound, 120_000);
    await fleet.started(held.id!, 2);
    await restarting;
    const dead = (await fleet.store.roster.dead()).map(({ registration }) => registration.incarnation);
    expect(dead).toEqual([holder.incarnation]);
    await fleet.completed(crew.ids.length);
    const accepted = await fleet.accepted();
    for (const id of crew.ids) expect(accepted.get(id), id).toBe(1);
    expect(fleet.told("instance.fenced")).toHaveLength(0);
  },
);

test.concurrent(
  "restored from an old snapshot: who came later registers again, and what Redis lost is told, and runs again",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet, admin } = await openScene(onTestFinished);
    const slow = { ...STEADY, worker: { ...STEADY.worker, lockDuration: 4_000, stalledInterval: 4_000 } };
    const early = await fleet.spawn(slow);
    const through = await fleet.add({ task: "asked" });
    await fleet.started(through, 1);
    const other = await fleet.spawn(slow);
    const finished = await fleet.add({ ms: 1_500 });
    await fleet.started(finished, 1);
    await admin.save();

    const doomed = await fleet.spawn(slow);
    await until("it ends", async () => (await fleet.queue.getJobState(finished)) === "completed");
    const late = await fleet.spawn(slow);
    const young = await fleet.add({ ms: 6_000 });
    await fleet.started(young, 1);
    await fleet.redis.kill();
    await during();
    await fleet.redis.restart();

    const crew = new Crew(fleet, [early, other, doomed, late]);
    await crew.isBack();
    const observer = await fleet.observe();
    const findings = async (): Promise<string[]> =>
      (await observer.audit()).findings.map(({ kind, job }) => `${kind} ${job}`);
    expect(await findings(), "its end is gone, so nobody holds it now").toContain(`bullmq.unlocked ${finished}`);
    expect(await fleet.stateOf(young), "added after the snapshot: gone with it").toBe("unknown");
    await until("what Redis forgot runs again", async () => (await fleet.stateOf(finished)) === "completed", 30_000);
    await early.ask("end", through);
    await until("what went on went on", async () => (await fleet.stateOf(through)) === "completed", 30_000);
    const runs = [finished, through, young].map((id) => fleet.starts(id).length);
    expect(runs).toEqual([2, 1, 1]);
    await until("nothing is left to tell", async () => (await findings()).length === 0);
    await crew.allLive();
    await crew.isStillMortal();
  },
);
