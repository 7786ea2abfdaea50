import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import type { Orphan } from "@assured-jobs/core";
import { Scene, versions } from "./support/bull.ts";
import { claimOf, claimed, dead, fleet } from "./support/dead.ts";
import { gate, RecordingHost, until } from "@assured-jobs/core/testing";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const ROUNDS = 200;

describe.each(versions)("many at once on $label", (bull) => {
  const open = (): Scene => new Scene(bull, server.url);

  interface Parts {
    readonly hand: ReturnType<Scene["worker"]>;
    readonly recoverers: readonly ReturnType<Scene["adapter"]>[];
  }

  interface Circumstances {
    readonly lapsed: boolean;
    /** The zombie tries to finish, at the same time. */
    readonly finishes: boolean;
  }

  /* Each round: one orphan, three recoverers, BullMQ's own check, the zombie's finish and somebody who fetches. */
  async function round(
    scene: Scene,
    { hand, recoverers }: Parts,
    { lapsed, finishes }: Circumstances,
  ): Promise<boolean> {
    const job = await scene.queue.add("work", {});
    const zombie = await hand.getNextJob("ghost:0", { block: false });
    const [orphan] = await recoverers[0]!.heldBy(scene.key, [dead("ghost")]);
    if (lapsed) {
      await scene.lapse(job.id!);
      await scene.redis.sadd(scene.at("stalled"), job.id!);
      await scene.redis.del(scene.at("stalled-check"));
    }
    const native = (hand as unknown as { moveStalledJobsToWait(): Promise<void> }).moveStalledJobsToWait();
    const [finish] = await Promise.allSettled([
      finishes ? zombie.moveToCompleted("zombie", "ghost:0", false) : Promise.reject(new Error("it died")),
      ...recoverers.map((one) => one.requeue(orphan as Orphan, { delay: 0 })),
      native,
      hand.getNextJob("alive:0", { block: false }),
    ]);
    if ((await scene.lockOf(job.id!)) !== "alive:0") await hand.getNextJob("alive:0", { block: false });

    const after = (await scene.queue.getJob(job.id!))!;
    if (finish.status === "fulfilled") expect(after.attemptsStarted).toBe(1);
    else expect([after.attemptsStarted, await scene.lockOf(job.id!)]).toEqual([2, "alive:0"]);
    const places = await Promise.all(["wait", "active"].map((list) => scene.redis.lrange(scene.at(list), 0, -1)));
    expect(places.flat().filter((id) => id === job.id)).toHaveLength(finish.status === "fulfilled" ? 0 : 1);
    await scene.lapse(job.id!);
    await scene.redis.lrem(scene.at("active"), 0, job.id!);
    await scene.redis.lrem(scene.at("wait"), 0, job.id!);
    return finish.status === "fulfilled";
  }

  function parts(scene: Scene): Parts {
    return {
      hand: scene.worker(undefined, { maxStalledCount: 1_000_000, stalledInterval: 1 }),
      recoverers: [1, 2, 3].map(() => scene.adapter({ queues: [scene.sibling()] })),
    };
  }

  test.each([
    ["while its lock lives", false],
    ["after its lock has lapsed", true],
  ])(`an orphan is started exactly once, in ${ROUNDS} of ${ROUNDS} rounds, %s`, async (_label, lapsed) => {
    const scene = open();
    const all = parts(scene);
    await all.hand.waitUntilReady();
    let finished = 0;
    for (let n = 0; n < ROUNDS; n++) if (await round(scene, all, { lapsed, finishes: n % 2 === 0 })) finished++;
    expect(finished).toBeLessThanOrEqual(ROUNDS / 2);
  });

  test("a recovered orphan is counted as requeued by exactly one of its recoverers", async () => {
    const scene = open();
    const { recoverers } = parts(scene);
    await scene.hold(
      "ghost",
      Array.from({ length: 50 }, () => ({})),
    );
    const orphans = await recoverers[0]!.heldBy(scene.key, [dead("ghost")]);
    await scene.lapse(...orphans.slice(25).map(({ id }) => id));
    const outcomes = await Promise.all(
      orphans.map((orphan) => Promise.all(recoverers.map((one) => one.requeue(orphan, { delay: 0 })))),
    );
    for (const answers of outcomes) expect(answers.toSorted()).toEqual(["already", "already", "requeued"]);
    expect(await scene.queue.getWaitingCount()).toBe(50);
  });

  test("10,000 orphans go back at 5,000 a second or more, and the oldest is the next to run", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const count = 10_000;
    await scene.queue.addBulk(Array.from({ length: count }, () => ({ name: "work", data: {} })));
    const ids = await activate(scene, count);
    await scene.redis.config("RESETSTAT");

    const orphans = await adapter.heldBy(scene.key, [dead("ghost")]);
    expect(orphans).toHaveLength(count);
    expect(orphans[0]!.id).toBe(ids.at(-1));
    const before = performance.now();
    const outcomes = await Promise.all(orphans.map((orphan) => adapter.requeue(orphan, { delay: 0 })));
    const perSecond = count / ((performance.now() - before) / 1_000);
    expect(new Set(outcomes)).toEqual(new Set(["requeued"]));
    expect(perSecond).toBeGreaterThan(5_000);
    expect(await scene.fetch("alive")).toEqual([ids[0]]);
    const stats = await scene.redis.info("commandstats");
    expect(Number(/cmdstat_evalsha:.*usec_per_call=([\d.]+)/.exec(stats)![1])).toBeLessThan(1_000);
  });

  test("a Redis that stands still for longer than a lock runs no job twice, and every finish is accepted", async () => {
    const own = await startRedis({ own: true });
    const scene = new Scene(bull, own.url);
    const { opened, open: finish } = gate();
    let starts = 0;
    const options = { lockDuration: 900, stalledInterval: 300, concurrency: 5, maxStalledCount: 1 };
    const process = async (): Promise<void> => {
      starts++;
      await opened;
    };
    const workers = [1, 2].map(() => scene.worker(process, options));
    const host = new RecordingHost();
    const adapter = scene.adapter({ workers });
    await adapter.attach(host);
    const began = performance.now();
    const duty = setInterval(() => {
      const now = performance.now() - began;
      void adapter.upkeep!(scene.key, fleet({ observed: now, living: workers.map(({ id }) => id) })).catch(() => {});
    }, 200);
    try {
      const jobs = await scene.queue.addBulk(Array.from({ length: 10 }, () => ({ name: "work", data: {} })));
      await until("all run", () => starts === 10);
      // As the native check does between two renewals of a lock.
      await scene.redis.sadd(scene.at("stalled"), ...jobs.map(({ id }) => id!));
      await own.pause();
      const frozen = performance.now();
      await until("longer than two locks", () => performance.now() - frozen > 2_000);
      await own.resume();
      const back = performance.now();
      await until("three more stall intervals", () => performance.now() - back > 1_000);
      finish();
      await until("all completed", async () => (await scene.queue.getCompletedCount()) === 10);
      expect(starts).toBe(10);
      expect((await scene.queue.getJob(jobs[0]!.id!))!.stalledCounter).toBe(0);
      expect(host.lostRuns).toEqual([]);
    } finally {
      clearInterval(duty);
      await Promise.all(workers.map((worker) => worker.close(true)));
      await scene.queue.close();
      scene.redis.disconnect();
      await own.stop();
    }
  });
});

/* What `count` fetches by a worker do to Redis, in one go. Oldest first. */
async function activate(scene: Scene, count: number): Promise<string[]> {
  const script = `
    local ids = {}
    for n = 1, tonumber(ARGV[1]) do
      local id = redis.call('RPOPLPUSH', KEYS[1] .. 'wait', KEYS[1] .. 'active')
      redis.call('SET', KEYS[1] .. id .. ':lock', 'ghost:' .. n, 'PX', 60000)
      redis.call('HINCRBY', KEYS[1] .. id, 'ats', 1)
      ids[n] = id
    end
    return ids`;
  return (await scene.redis.eval(script, 1, scene.at(""), count)) as string[];
}

test("a claim of an older run does not make a newer one an orphan", async () => {
  const scene = new Scene(versions[0]!, server.url);
  const adapter = scene.adapter();
  await scene.hold("ghost");
  const [orphan] = await adapter.heldBy(scene.key, [dead("ghost")]);
  await adapter.requeue(orphan!, { delay: 0 });
  await scene.fetch("stranger");
  await scene.lapse(orphan!.id);
  const newcomer = scene.adapter();
  expect(await newcomer.heldBy(scene.key, [claimed(dead("ghost"), claimOf(orphan!))])).toEqual([]);
});
