/* The promises of docs/guarantees.md on Bee-Queue, on real processes that are really killed. */
import { until } from "@assured-jobs/core/testing";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { NOTHING, openFleet } from "./fleet.ts";
import type { Fleet, Member, ProcessOptions } from "./fleet.ts";

const LONG = 90_000;

/** A process that holds `count` jobs in its handlers, and their ids. */
async function holding(fleet: Fleet, count: number, options: ProcessOptions = {}): Promise<[Member, string[]]> {
  const holder = await fleet.spawn({ ...options, concurrency: count });
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await fleet.add());
  for (const id of ids) await fleet.started(id, 1);
  return [holder, ids];
}

const rowOf = async ({ scene }: Fleet, id: string): Promise<{ status: string; options: { retries?: number } }> =>
  JSON.parse((await scene.redis.hget(scene.keys.jobs, id)) ?? "{}");

describe("P1: no job is lost when a worker process dies", () => {
  for (const byDone of [false, true])
    test(`a job whose process is killed runs again in another one (${byDone ? "done" : "promise"})`, async () => {
      const fleet = await openFleet();
      const [holder, [id = ""]] = await holding(fleet, 1, { byDone });
      const other = await fleet.spawn({ byDone });
      await holder.kill();
      expect((await fleet.started(id, 2)).process).toBe(other);
      expect(await fleet.recoveries(id)).toBe(1);
    });

  test("a job that waits for its only process runs again when a new one comes", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder, [id = ""]] = await holding(fleet, 1);
    await holder.kill();
    const next = await fleet.spawn();
    expect((await fleet.started(id, 2)).process).toBe(next);
  });

  test(
    "of very short jobs, too, none is lost or ends twice, wherever its process dies",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const crew = [await fleet.spawn({ concurrency: 20 }), await fleet.spawn({ concurrency: 20 })];
      const ids: string[] = [];
      for (let kill = 0; kill < 12; kill++) {
        const jobs = Array.from({ length: 400 }, () => fleet.queue.createJob({ ms: kill % 3 }));
        await fleet.queue.saveAll(jobs);
        ids.push(...jobs.map((job) => job.id));
        await sleep(Math.random() * 40);
        await crew[kill % 2]?.kill();
        crew[kill % 2] = await fleet.spawn({ concurrency: 20, assurance: { recoveryWindow: 1_000 } });
      }
      await fleet.succeeded(ids);
      expect(ids.filter((id) => fleet.ends(id).length !== 1)).toEqual([]);
      expect(await fleet.leftovers()).toEqual(NOTHING);
    },
  );

  test(
    "its process dies between the handler's end and the queue's answer: once accepted",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const ids: string[] = [];
      for (let n = 0; n < 6; n++) {
        const holder = await fleet.spawn();
        ids.push(await fleet.add({ ms: 5, dieWhenReturned: true }));
        await until("it is gone", () => holder.isGone);
      }
      await fleet.scene.redis.eval(FORGIVE, 1, fleet.scene.keys.jobs);
      await fleet.spawn();
      await fleet.succeeded(ids);
      expect(ids.map((id) => fleet.ends(id).length)).toEqual(ids.map(() => 1));
      expect(await fleet.leftovers()).toEqual(NOTHING);
    },
  );

  test("killed after any step of a recovery: each job goes back once", { timeout: 3 * LONG }, async () => {
    const fleet = await openFleet();
    const [holder, ids] = await holding(fleet, 3);
    await holder.kill();
    for (let step = 1; (await recovererDies(fleet, step)) === "in mid-recovery"; step++);
    await fleet.spawn({ concurrency: 3 });
    for (const id of ids) {
      await fleet.started(id, 2);
      expect(await fleet.recoveries(id)).toBe(1);
    }
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

/** The jobs of dieWhenReturned kill nobody any more. */
const FORGIVE = `for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
  redis.call('HSET', KEYS[1], id, (string.gsub(redis.call('HGET', KEYS[1], id), '"dieWhenReturned":true', '"was":true')))
end`;

describe("P3: each orphan is given back once", () => {
  test("four processes that recover at the same moment requeue it once", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder, ids] = await holding(fleet, 10);
    const four = await Promise.all([1, 2, 3, 4].map(() => fleet.spawn({ concurrency: 0 })));
    await holder.kill();
    await until("the death is declared", () => fleet.told("instance.dead").length > 0);
    await Promise.all(four.map((one) => one.ask("recover")));
    await fleet.spawn({ concurrency: 10 });
    for (const id of ids) {
      await fleet.started(id, 2);
      expect(await fleet.recoveries(id)).toBe(1);
    }
    expect(fleet.told("started").length).toBe(20);
  });
});

/* Rows Z1 to Z5: what a late end does to bare Bee. Each with a process that is really frozen until others have its job. */
describe("P4: a zombie cannot end a run that was given away", () => {
  async function haunted(
    fleet: Fleet,
    data: object,
    shape?: Parameters<Fleet["add"]>[1],
  ): Promise<[Member, Member, string]> {
    const zombie = await fleet.spawn();
    const id = await fleet.add(data, shape);
    await fleet.started(id, 1);
    zombie.freeze();
    const other = await fleet.spawn();
    await fleet.started(id, 2);
    return [zombie, other, id];
  }

  test("its success is refused while the job runs again; it is told, and born again", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [zombie, other, id] = await haunted(fleet, { task: "stubborn", ms: 5_000 });
    zombie.thaw();
    expect((await zombie.heard("aborted", id)).code).toBe("ERR_FENCED");
    await zombie.heard("returned", id);
    expect(await fleet.scene.active()).toEqual([id]);
    await fleet.succeeded([id]);
    expect(fleet.ends(id)).toEqual([other.child.pid]);
    expect(zombie.all("succeeded", id)).toEqual([]);
    await zombie.heard("instance.reborn");
    await other.kill();
    const next = await fleet.add({ ms: 10 });
    expect((await fleet.started(next, 1)).process).toBe(zombie);
    await fleet.succeeded([next]);
    expect(await fleet.leftovers()).toEqual(NOTHING);
  });

  test("its failure starts no third run, and consumes no retry", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const data = { task: "fail", ms: 4_000 };
    const [zombie, , id] = await haunted(fleet, data, (job) => job.retries(1));
    zombie.thaw();
    await zombie.heard("aborted", id);
    await until("its last attempt has failed", () => fleet.ends(id, "failed").length === 1);
    expect(fleet.ends(id, "retrying").length).toBe(1);
    expect(fleet.starts(id).length).toBe(3);
    expect((await rowOf(fleet, id)).options.retries).toBe(0);
    expect(await fleet.leftovers()).toEqual(NOTHING);
  });

  test("its failure does not put a job among the failed that succeeds elsewhere", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [zombie, other, id] = await haunted(fleet, { task: "fail", ms: 3_000 });
    await fleet.scene.redis.eval(
      `local job = redis.call('HGET', KEYS[1], ARGV[1])
      redis.call('HSET', KEYS[1], ARGV[1], (string.gsub(job, '"task":"fail"', '"task":"work"')))`,
      1,
      fleet.scene.keys.jobs,
      id,
    );
    await other.kill(); // with what it had read before
    await fleet.spawn();
    zombie.thaw();
    await fleet.succeeded([id]);
    await zombie.heard("instance.reborn");
    const { redis, keys } = fleet.scene;
    expect([await redis.smembers(keys.failed), await redis.smembers(keys.succeeded)]).toEqual([[], [id]]);
  });

  test("its success removes no row that a run, or a new job of that id, still needs", { timeout: LONG }, async () => {
    const settings = { removeOnSuccess: true };
    const fleet = await openFleet(settings);
    const zombie = await fleet.spawn({ settings });
    const id = await fleet.add({ task: "stubborn", ms: 3_000 }, (job) => job.setId("named"));
    await fleet.started(id, 1);
    zombie.freeze();
    const other = await fleet.spawn({ settings });
    await fleet.succeeded([id]);
    await until("its row is gone", async () => (await fleet.scene.redis.hlen(fleet.scene.keys.jobs)) === 0);
    await other.ask("stop");
    await fleet.add({ task: "work", ms: 10, second: true }, (job) => job.setId("named"));
    zombie.thaw();
    await zombie.heard("instance.reborn");
    await until("the new job has succeeded", () => fleet.ends(id).length === 2);
    expect(fleet.starts(id).at(-1)?.process).toBe(zombie);
    expect(await fleet.leftovers()).toEqual(NOTHING);
  });

  test("while it is frozen with free slots it swallows no job", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const frozen = await fleet.spawn({
      concurrency: 10,
      assurance: { heartbeatTtl: 60_000, heartbeatInterval: 10_000 },
    });
    await fleet.spawn({ concurrency: 10 });
    frozen.freeze();
    const jobs = Array.from({ length: 100 }, () => fleet.queue.createJob({ ms: 1 }));
    await fleet.queue.saveAll(jobs);
    await fleet.succeeded(
      jobs.map(({ id }) => id),
      5_000,
    );
    expect(fleet.told("orphan.recovered")).toEqual([]);
    frozen.thaw();
  });
});

describe("P6: a blocked event loop is not a death", () => {
  test(
    "11 s, default settings, Bee's own stall check in every process: 8 of 8 run once",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const options = { assurance: null, checkEvery: 2_500 };
      await Promise.all(Array.from({ length: 9 }, () => fleet.spawn(options)));
      const ids = await Promise.all(Array.from({ length: 8 }, () => fleet.add({ task: "block", ms: 11_000 })));
      await fleet.succeeded(ids);
      expect(ids.map((id) => [fleet.starts(id).length, fleet.ends(id).length])).toEqual(ids.map(() => [1, 1]));
      expect(fleet.told("instance.dead")).toEqual([]);
    },
  );
});

describe("P11: a job that keeps killing its process is buried", () => {
  test("its producer hears it, its neighbours live, and it can be released", { timeout: LONG }, async () => {
    const fleet = await openFleet({ getEvents: true });
    const pill = fleet.queue.createJob({ task: "poison", ms: 300 });
    const heard = new Promise<Error>((resolve) => pill.on("failed", resolve));
    await pill.save();
    const keeper = await fleet.spawn({ concurrency: 0 });
    const innocents: string[] = [];
    for (let death = 0; fleet.told("orphan.buried").length === 0; death++) {
      const victim = await fleet.spawn({ concurrency: 3 });
      innocents.push(await fleet.add({ ms: 800 }));
      await until("it dies, or the pill is buried", () => victim.isGone || fleet.told("orphan.buried").length > 0);
      expect(death).toBeLessThan(10);
    }
    expect((await heard).message).toContain("its process died 4 times");
    const { redis, keys } = fleet.scene;
    expect(await redis.smembers(keys.failed)).toEqual([pill.id]);
    await fleet.spawn({ concurrency: 3 });
    await fleet.succeeded(innocents);
    expect(fleet.starts(pill.id).length).toBe(4);
    await keeper.ask("release", { queue: fleet.scene.key, id: pill.id, actor: "ada", reason: "fixed" });
    await fleet.started(pill.id, 5);
  });
});

describe("P13: leaving is a handover", () => {
  for (const order of ["stopFirst", "closeFirst"] as const)
    test(`under load, ${order}: nothing is stranded, and nobody is charged`, { timeout: LONG }, async () => {
      const fleet = await openFleet();
      const ids: string[] = [];
      for (let round = 0; round < 5; round++) {
        const leaving = await fleet.spawn({ concurrency: 10 });
        const jobs = Array.from({ length: 100 }, () => fleet.queue.createJob({ ms: 20 }));
        await fleet.queue.saveAll(jobs);
        ids.push(...jobs.map((job) => job.id));
        await leaving.heard("started");
        await leaving.ask(order, { timeout: 200 });
        expect(await fleet.scene.active()).toEqual([]);
        await leaving.kill();
      }
      await fleet.spawn({ concurrency: 50 });
      await fleet.succeeded(ids);
      expect(ids.filter((id) => fleet.ends(id).length !== 1)).toEqual([]);
      expect(fleet.told("instance.dead")).toEqual([]);
    });

  test("a job that does not end in time goes back, and its process may exit", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [leaving, [id = ""]] = await holding(fleet, 1);
    expect(await leaving.ask("stop", { timeout: 100 })).toMatchObject({ handedOver: 1, left: 0 });
    expect(await fleet.scene.waiting()).toEqual([id]);
    const other = await fleet.spawn();
    expect((await fleet.started(id, 2)).process).toBe(other);
  });
});

describe("a crash is none of the job's attempts", () => {
  test("retries, backoff, delay and timeout mean what they mean in Bee", { timeout: LONG }, async () => {
    const settings = { activateDelayedJobs: true, delayedDebounce: 50 };
    const fleet = await openFleet();
    const holder = await fleet.spawn({ concurrency: 3, settings });
    const failing = await fleet.add({ task: "fail", ms: 1_500 }, (job) => job.retries(1).backoff("fixed", 200));
    const slow = await fleet.add({ ms: 60_000 }, (job) => job.timeout(1_500));
    const delayed = await fleet.add({ ms: 10 }, (job) => job.delayUntil(Date.now() + 1_000));
    await Promise.all([fleet.started(failing, 1), fleet.started(slow, 1)]);
    await holder.kill();
    await fleet.spawn({ concurrency: 3, settings });
    await fleet.succeeded([delayed]);
    await until("both have failed", () => [failing, slow].every((id) => fleet.ends(id, "failed").length === 1));
    expect([fleet.starts(failing).length, fleet.ends(failing, "retrying").length]).toEqual([3, 1]);
    expect(fleet.ends(slow, "failed")).toEqual([`Job ${slow} timed out (1500 ms)`]);
    expect(await fleet.leftovers()).toEqual(NOTHING);
  });
});

describe("queues that also have workers without assurance", () => {
  const settings = { stallInterval: 1_000 };

  test(
    "keep theirs as long as they live; when one is killed, Bee's own rule gives its job back",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet(settings);
      const bare = await fleet.spawn({ bare: true, settings });
      const id = await fleet.add({ ms: 60_000 });
      await until("it runs without assurance", () => bare.all("started").length === 1);
      const assured = await fleet.spawn({ settings });
      const warning = await assured.heard("warning");
      expect(JSON.stringify(warning.payload)).toContain("workers without assurance");
      await sleep(3 * settings.stallInterval);
      expect(fleet.told("started").length).toBe(1);
      await bare.kill();
      expect((await fleet.started(id, 2)).process).toBe(assured);
      expect(assured.all("warning").length).toBe(1);
    },
  );
});
