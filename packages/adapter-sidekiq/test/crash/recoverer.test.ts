/* P2 and P3: whoever recovers may die at any step, and others may recover beside it. Real processes, really killed. */
import { until } from "@assured-jobs/core/testing";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { holding, jidOf, NOTHING, openFleet } from "./fleet.ts";
import type { Fleet } from "./fleet.ts";

const LONG = 180_000;
const MANY = 10_000;

/** A process that was killed while it held so many jobs; their ids. */
async function orphans(fleet: Fleet, count: number): Promise<string[]> {
  const holder = await fleet.spawn({ concurrency: count, worker: { stopTimeout: 0 } });
  const ids = await fleet.addMany(count, { silent: true });
  const { redis, keys, queue } = fleet.scene;
  await until("it holds them all", async () => (await redis.hlen(keys.queue(queue).running)) === count, 60_000);
  await holder.kill();
  return ids;
}

/* All of them in one step, so that none is seen twice or not at all while it moves. */
const EVERYWHERE = `
  local found = redis.call('LRANGE', KEYS[1], 0, -1)
  for _, text in ipairs(redis.call('HVALS', KEYS[2])) do found[#found + 1] = text end
  for _, entry in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do found[#found + 1] = (string.gsub(entry, '^%S+ ', '')) end
  return found`;

async function everywhere({ scene }: Fleet): Promise<string[]> {
  const { waiting, running, parked } = scene.keys.queue(scene.queue);
  return ((await scene.redis.eval(EVERYWHERE, 3, waiting, running, parked)) as string[]).map(jidOf);
}

describe("P2: no job is lost when the recovering process dies", () => {
  test("killed after any step of a recovery: each job goes back once", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder, ids] = await holding(fleet, 3);
    await holder.kill();
    for (let step = 1; (await recovererDies(fleet, step)) === "in mid-recovery"; step++);
    const successor = await fleet.spawn({ concurrency: 3 });
    for (const id of ids) {
      expect((await fleet.started(id, 2)).process).toBe(successor);
      expect([await fleet.recoveries(id), await fleet.deaths(id), fleet.record.fetches(id)]).toEqual([1, 1, 2]);
    }
  });

  test("recoverers killed in mid-batch over 10,000 orphans: none lost, none doubled", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const ids = (await orphans(fleet, MANY)).toSorted();
    const { redis, keys, queue } = fleet.scene;
    const back = (): Promise<number> => redis.llen(keys.queue(queue).waiting);
    let kills = 0;
    for (let before = 0; before < MANY;) {
      const recoverer = fleet.launch({ concurrency: 0 });
      const share = before + 1_000 + Math.random() * 2_500;
      await until("it is in the middle of it", async () => (await back()) >= Math.min(share, MANY), 60_000);
      await recoverer.kill();
      kills++;
      before = await back();
      expect((await everywhere(fleet)).toSorted()).toEqual(ids);
    }
    expect(kills).toBeGreaterThanOrEqual(3);
    await fleet.spawn({ concurrency: 0 });
    await until("all cases are closed", async () => (await fleet.store.ledger.counts()).pending === 0);
    expect((await fleet.waiting()).toSorted()).toEqual(ids);
    expect(await fleet.leftovers()).toEqual({ ...NOTHING, waiting: MANY });
  });
});

/** Lets a process recover that dies after so many steps. */
async function recovererDies(fleet: Fleet, step: number): Promise<"in mid-recovery" | "with nothing left to do"> {
  const recoverer = fleet.launch({ concurrency: 0, dieAfter: step });
  const isDone = async (): Promise<boolean> => {
    const { pending } = await fleet.store.ledger.counts();
    return recoverer.all("ready").length > 0 && pending === 0 && (await fleet.scene.waiting()).length === 3;
  };
  await until("it is gone, or has nothing to do", async () => recoverer.isGone || (await isDone()));
  if (recoverer.isGone) return "in mid-recovery";
  await recoverer.kill();
  return "with nothing left to do";
}

describe("P3: each orphan is given back once", () => {
  test(
    "four processes that recover 1,000 orphans at the same moment requeue each once",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const four = await Promise.all([1, 2, 3, 4].map(() => fleet.spawn({ concurrency: 0 })));
      const ids = await orphans(fleet, 1_000);
      await until("the death is declared", () => fleet.told("instance.dead").length > 0);
      await Promise.all(four.map((one) => one.ask("recover")));
      await until("all cases are closed", async () => (await fleet.store.ledger.counts()).pending === 0);
      expect((await fleet.waiting()).toSorted()).toEqual(ids.toSorted());
      expect(await fleet.leftovers()).toEqual({ ...NOTHING, waiting: 1_000 });
      expect(new Set(fleet.told("orphan.recovered").map(({ payload }) => idOf(payload))).size).toBe(1_000);
      expect(fleet.told("orphan.recovered")).toHaveLength(1_000);
    },
  );

  test("the oldest is the next to run, before what waited behind it", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder, ids] = await holding(fleet, 4);
    const later = await fleet.add();
    await holder.kill();
    await fleet.spawn({ concurrency: 0 });
    await until("all are back", async () => (await fleet.waiting()).length === 5);
    expect(await fleet.waiting()).toEqual([...ids, later]);
  });
});

const idOf = (payload: unknown): string => (payload as { orphan: { id: string } }).orphan.id;

describe("P10: recovery goes on whoever is missing", () => {
  test("a paused holder of the duty is replaced", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const slow = { heartbeatInterval: 10_000, heartbeatTtl: 60_000 };
    const onDuty = await fleet.spawn({ concurrency: 0, assurance: slow });
    await onDuty.heard("duty.taken");
    const [holder, [id = ""]] = await holding(fleet, 1, { assurance: slow });
    const other = await fleet.spawn({ assurance: slow });
    onDuty.freeze();
    await holder.kill();
    expect((await fleet.started(id, 2)).process).toBe(other);
    expect(fleet.told("instance.dead")).toHaveLength(1); // the killed one, not the paused one
    onDuty.thaw();
  });

  test(
    "an orphan of a queue that nobody knows is kept, and recovered when somebody does",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const [holder, [id = ""]] = await holding(fleet, 1);
      const assurance = { delayedRecoveryInterval: 100, delayedRecoveryCount: 1_000 };
      const stranger = await fleet.spawn({ queues: ["elsewhere"], assurance });
      await holder.kill();
      await stranger.heard("instance.dead");
      await sleep(1_000); // ten passes of somebody who does not know the queue
      const dead = await fleet.store.roster.dead();
      expect(dead.map(({ registration }) => registration.incarnation)).toEqual([holder.incarnation]);
      const next = await fleet.spawn();
      expect((await fleet.started(id, 2)).process).toBe(next);
    },
  );
});
