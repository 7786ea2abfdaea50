/* Paths that are broken without a word: nothing passes, or one way only, and nobody is told.
 *
 * The server goes on seeing an open connection, so nobody is absent: the lease decides. And a process whose
 * connections were forgotten on the way must find out by itself, and open new ones.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { until } from "@assured-jobs/core/testing";
import { PATIENT, Scene, STEADY } from "./scene.ts";

const { heartbeatTtl: LEASE, heartbeatInterval: INTERVAL, presenceGrace: GRACE } = STEADY;
const BELOW = LEASE - INTERVAL - GRACE;
/** As in the defaults, a command that is not answered is given up well within the lease. */
const LONG_LEASE = { ...STEADY, heartbeatTtl: 15_000 } as const;

describe.concurrent("the path of one process is half-open", () => {
  test("nothing passes for less than the lease: nobody notices", PATIENT, async ({ onTestFinished }) => {
    const scene = await Scene.open(onTestFinished);
    const { member, path } = await scene.travel();
    const ids = await scene.atWork(2);
    await scene.helper();
    path.freeze();
    await scene.end(ids.slice(0, 1));
    await sleep(BELOW); // the break itself
    path.thaw();
    await scene.end(ids.slice(1));
    await scene.nothingHappened(ids);
    await scene.healed([member]);
  });

  for (const direction of ["requests", undefined] as const) {
    test(
      `${direction ?? "everything"} held back beyond the lease, then let through: it is refused, told and born again`,
      PATIENT,
      async ({ onTestFinished }) => {
        const scene = await Scene.open(onTestFinished);
        const { member, path } = await scene.travel();
        const ids = await scene.atWork(2);
        const helper = await scene.helper();
        path.freeze(direction);
        await scene.end(ids.slice(0, 1));
        for (const id of ids) await scene.fleet.started(id, 2);
        path.thaw();
        await scene.end(ids.slice(1));
        await scene.ended(ids);
        expect(await scene.deaths()).toEqual([member.incarnation]);
        await scene.healed([member, helper]);
      },
    );
  }

  test("replies held back beyond the lease: its beats arrive, so it lives", PATIENT, async ({ onTestFinished }) => {
    const scene = await Scene.open(onTestFinished, { assurance: LONG_LEASE });
    const { member, path } = await scene.travel();
    const ids = await scene.atWork(2);
    await scene.helper();
    path.freeze("replies");
    await scene.end(ids.slice(0, 1));
    await sleep(LONG_LEASE.heartbeatTtl + INTERVAL); // the break itself
    path.thaw();
    await scene.end(ids.slice(1));
    await scene.nothingHappened(ids);
    await scene.healed([member]);
  });

  test(
    "requests are lost beyond the lease: it is told on the way that is open, at once",
    PATIENT,
    async ({ onTestFinished }) => {
      const scene = await Scene.open(onTestFinished);
      const { member, path } = await scene.travel();
      const ids = await scene.atWork(2);
      const helper = await scene.helper();
      path.lose("requests");
      await member.heard("instance.fenced");
      expect(await scene.deaths()).toEqual([member.incarnation]);
      for (const id of ids) expect((await scene.fleet.started(id, 2)).process).toBe(helper);
      await path.mend();
      await scene.end(ids);
      await scene.ended(ids);
      await scene.healed([member, helper]);
    },
  );

  test(
    "its connections are forgotten on the way, new ones work: it opens new ones and is not given up",
    PATIENT,
    async ({ onTestFinished }) => {
      const scene = await Scene.open(onTestFinished, { assurance: LONG_LEASE });
      const storePath = await scene.path();
      const { member } = await scene.travel(undefined, { storeUrl: storePath.url });
      const ids = await scene.atWork(2);
      await scene.helper();
      storePath.forget();
      await member.heard("store.down");
      await member.heard("store.up");
      await sleep(LONG_LEASE.heartbeatTtl); // whoever does not beat has lapsed by now
      await scene.end(ids);
      await scene.nothingHappened(ids);
      expect(await member.ask("health")).toMatchObject({ ready: true });
    },
  );
});

test.concurrent(
  "the only process, whose answers are lost: what it finished is not run again",
  PATIENT,
  async ({ onTestFinished }) => {
    const scene = await Scene.open(onTestFinished);
    const { member, path } = await scene.travel();
    const ids = await scene.atWork(2);
    path.lose("replies");
    await scene.end(ids);
    await until("the queue has accepted both", async () => (await scene.fleet.queue.getCompletedCount()) === 2);
    await sleep(2 * GRACE); // nobody knows it yet but the queue
    await path.mend();
    await scene.ended(ids);
    expect(ids.map((id) => scene.ranIn(id))).toEqual([[member.name], [member.name]]);
    await scene.healed([member]);
  },
);
