/* A path to Redis that is cut for a while: of one process, of most of them, of all.
 *
 * To the others a cut path and a death are the same: within the grace a cut is nothing, beyond it the one is given up.
 * Many at once are a broken path, so for them the lease decides; and where nobody can look, nobody can lapse.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ProxyHandle } from "@assured-jobs/dev-proxy";
import { describe, expect, test } from "vitest";
import { PATIENT, Scene, STEADY } from "./scene.ts";

const { heartbeatTtl: LEASE, heartbeatInterval: INTERVAL, presenceGrace: GRACE } = STEADY;
/** Whoever is away for less has a beat inside its lease, however the break falls between two beats. */
const SHORT_OF_THE_LEASE = LEASE - INTERVAL;
/** What a busy machine takes to come back on a path that is whole again is less. */
const LENIENT = 2_000;
const BREAKS = [500, 1_000, 2_000, 4_000, 10_000];

/** Cuts the path; in the midst of the break half of the jobs end, the others once the path is whole again. */
async function cutFor(ms: number, path: ProxyHandle, scene: Scene, ids: readonly string[]): Promise<void> {
  const half = Math.ceil(ids.length / 2);
  await path.cut();
  await sleep(ms / 2); // the break itself
  await scene.end(ids.slice(0, half));
  await sleep(ms / 2);
  await path.mend();
  await scene.end(ids.slice(half));
}

describe.concurrent("the path of one process is cut", () => {
  test.for(BREAKS)(
    "for %i ms: its jobs end, accepted once; if it was given up, it was told and is born again",
    PATIENT,
    async (ms, { onTestFinished }) => {
      const scene = await Scene.open(onTestFinished);
      const { member, path } = await scene.travel();
      const ids = await scene.atWork(2);
      const helper = await scene.helper();
      await cutFor(ms, path, scene, ids);
      await scene.ended(ids);
      if (ms < GRACE) await scene.nothingHappened(ids);
      if (ms >= 4 * GRACE) {
        expect(await scene.deaths()).toEqual([member.incarnation]);
        for (const id of ids) expect(scene.ranIn(id)).toEqual([member.name, helper.name]);
        expect(member.all("completed")).toHaveLength(0);
      }
      await scene.healed([member, helper]);
      expect(helper.all("instance.fenced")).toHaveLength(0);
    },
  );

  test("for 0.5 s, with the default settings: nobody notices", PATIENT, async ({ onTestFinished }) => {
    const scene = await Scene.open(onTestFinished, {
      assurance: {
        heartbeatInterval: 15_000,
        heartbeatTtl: 45_000,
        presenceGrace: 1_000,
        lookInterval: 250,
        recoveryInterval: 1_000,
      },
    });
    const { path } = await scene.travel();
    for (let cut = 0; cut < 3; cut++) {
      const ids = await scene.atWork(2);
      await cutFor(500, path, scene, ids);
      await scene.nothingHappened(ids);
    }
  });
});

describe("the path of most processes is cut, and somebody looks on", () => {
  test.for(BREAKS.filter((ms) => ms <= SHORT_OF_THE_LEASE))(
    "for %i ms, less than the lease: nobody is given up, no job runs twice",
    PATIENT,
    async (ms, { onTestFinished }) => {
      const scene = await Scene.open(onTestFinished, { assurance: { ...STEADY, presenceGrace: LENIENT } });
      const path = await scene.path();
      const team = await Promise.all([1, 2, 3].map(() => scene.travel(path)));
      const ids = await scene.atWork(6);
      await cutFor(ms, path, scene, ids);
      await scene.nothingHappened(ids);
      await scene.healed(team.map(({ member }) => member));
      if (ms >= GRACE) expect(scene.witness.all("presence.distrusted")).not.toHaveLength(0);
    },
  );

  test(
    "for longer than the lease: all are given up, refused, told, and born again",
    PATIENT,
    async ({ onTestFinished }) => {
      const scene = await Scene.open(onTestFinished);
      const path = await scene.path();
      const team = await Promise.all([1, 2, 3].map(() => scene.travel(path)));
      const members = team.map(({ member }) => member);
      const ids = await scene.atWork(6);
      const helper = await scene.helper();
      await cutFor(LEASE + 4 * GRACE, path, scene, ids);
      await scene.ended(ids);
      expect((await scene.deaths()).toSorted()).toEqual(members.map(({ incarnation }) => incarnation).toSorted());
      for (const id of ids) expect(scene.ranIn(id)).toEqual([expect.any(String), helper.name]);
      expect(members.flatMap((member) => member.all("completed"))).toHaveLength(0);
      await scene.healed([...members, helper]);
    },
  );
});

describe.concurrent("the path of everybody is cut, so that nobody looks", () => {
  test.for([1_000, 4_000, LEASE + 4 * GRACE])(
    "for %i ms: nobody is given up, no job runs twice",
    PATIENT,
    async (ms, { onTestFinished }) => {
      const scene = await Scene.open(onTestFinished);
      const path = await scene.path();
      const team = [await scene.travel(path), await scene.travel(path)];
      await scene.witness.ask("stop");
      const ids = await scene.atWork(4);
      await cutFor(ms, path, scene, ids);
      await scene.nothingHappened(ids);
      await scene.healed(team.map(({ member }) => member));
    },
  );
});
