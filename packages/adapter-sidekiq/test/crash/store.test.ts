/* P7: a Redis that is frozen, restarted, emptied or unreachable kills nobody who lives; and P15: what nobody can read, or
 * must not be run here, stops nothing. Real processes. */
import { until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { holding, NOTHING, openFleet } from "./fleet.ts";
import type { Fleet, Member } from "./fleet.ts";

const LONG = 90_000;

/** Two processes with a job each that lasts so long. */
async function atWork(fleet: Fleet, ms: number): Promise<[Member[], string[]]> {
  const crew = [await fleet.spawn(), await fleet.spawn()];
  const ids = [await fleet.add({ ms }), await fleet.add({ ms })];
  for (const id of ids) await fleet.started(id, 1);
  return [crew, ids];
}

describe("P7: a Redis in trouble kills nobody", () => {
  test("frozen for longer than every lease: all live on, each job runs once", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [, ids] = await atWork(fleet, 6_000);
    await fleet.redis.pause();
    await sleep(4_000); // the outage itself
    await fleet.redis.resume();
    await fleet.ended(ids);
    expect(ids.map((id) => [fleet.starts(id).length, fleet.accepted(id).length])).toEqual(ids.map(() => [1, 1]));
    expect([fleet.told("instance.dead"), fleet.told("instance.fenced")]).toEqual([[], []]);
  });

  test(
    "killed and restarted with its data: jobs that end meanwhile end once, and new ones run",
    { timeout: LONG },
    async () => {
      const redis = await startRedis({ own: true, args: ["--appendonly", "yes", "--appendfsync", "always"] });
      const fleet = await openFleet({ redis });
      const [, ids] = await atWork(fleet, 3_000);
      await fleet.redis.kill();
      await until("both handlers have returned", () => fleet.told("returned").length === 2);
      await sleep(1_500); // longer than a lease
      await fleet.redis.restart();
      await until("both ends were accepted", () => fleet.told("completed").length === 2, 30_000);
      const next = await fleet.add({ ms: 10 });
      await until("the next one ends", () => fleet.told("completed").some(({ id }) => id === next));
      expect(ids.map((id) => fleet.starts(id).length)).toEqual([1, 1]);
      expect(await fleet.leftovers()).toEqual(NOTHING);
      expect(await fleet.scene.redis.get(fleet.scene.keys.processed)).toBe("3");
      expect([fleet.told("instance.dead"), fleet.told("instance.fenced")]).toEqual([[], []]);
    },
  );

  test("restarted without its data: nobody dies of it, and new jobs run", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [crew, ids] = await atWork(fleet, 2_000);
    await fleet.redis.kill();
    await fleet.redis.restart();
    await until("both handlers have returned", () => fleet.told("returned").length === 2);
    const next = await until("it takes jobs again", () => fleet.add({ ms: 10 }).catch(() => undefined));
    await until("a new one ends", () => fleet.told("completed").some(({ id }) => id === next), 30_000);
    await sleep(2_000); // two leases
    expect(ids.map((id) => fleet.starts(id).length)).toEqual([1, 1]);
    expect(fleet.told("instance.dead")).toEqual([]);
    expect(crew.map(({ isGone }) => isGone)).toEqual([false, false]);
    expect(await fleet.leftovers()).toEqual(NOTHING);
  });

  test("P5: an end that cannot reach it is told again, and its job does not run twice", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const path = await fleet.path();
    const holder = await fleet.spawn({ url: path.url });
    const id = await fleet.add({ task: "asked" });
    await fleet.started(id, 1);
    await fleet.spawn();
    await path.cut();
    await holder.ask("end", id);
    await holder.heard("returned", id);
    await sleep(3_000); // three leases: its store is there, so it lives
    await path.mend();
    await holder.heard("completed", id);
    expect([fleet.starts(id).length, fleet.accepted(id).length]).toEqual([1, 1]);
    expect(fleet.told("instance.dead")).toEqual([]);
  });
});

describe("P15: bad input stops nothing", () => {
  const MALFORMED: Readonly<Record<string, string>> = {
    "no JSON": "{not json",
    "no object": "[1,2]",
    "no class": '{"jid":"b1","args":[],"queue":"default"}',
    "no arguments": '{"jid":"b2","class":"Job","queue":"default"}',
    binary: "\u0000\uFFFF\u2028",
    empty: "",
  };

  test("what nobody can read is in the dead set as it was; the jobs behind it run", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const { redis, keys, queue } = fleet.scene;
    for (const text of Object.values(MALFORMED)) await redis.lpush(keys.queue(queue).waiting, text);
    const id = await fleet.add({ ms: 10 });
    const worker = await fleet.spawn();
    await fleet.ended([id]);
    await until(
      "all are in the dead set",
      async () => (await redis.zcard(keys.dead)) === Object.keys(MALFORMED).length,
    );
    expect((await redis.zrange(keys.dead, "0", "-1")).toSorted()).toEqual(Object.values(MALFORMED).toSorted());
    expect(await fleet.leftovers()).toEqual({ ...NOTHING, dead: Object.keys(MALFORMED).length });
    expect([worker.isGone, worker.all("warning").length > 0]).toEqual([false, true]);
  });

  test(
    "an orphan that nobody can read goes back all the same, and to the dead set when its turn comes",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const [holder, [id = ""]] = await holding(fleet, 1);
      const { redis, keys, queue } = fleet.scene;
      await redis.hset(keys.queue(queue).running, `${holderOf(Object.keys(await fleet.scene.running()))}:7`, "{torn");
      await redis.hset(keys.queue(queue).running, "what is this", "{}");
      await holder.kill();
      await fleet.spawn();
      await fleet.started(id, 2);
      await until("it is in the dead set", async () => (await redis.zrange(keys.dead, "0", "-1")).includes("{torn"));
      expect(await redis.hget(keys.queue(queue).running, "what is this")).toBe("{}");
    },
  );

  test(
    "a job of a class that is registered nowhere waits at the far end, and others run",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const strange = await fleet.add({}, { class: "OnlyRubyKnowsIt" });
      const worker = await fleet.spawn();
      await worker.heard("refused", strange);
      const ids = await fleet.addMany(20, { ms: 10 });
      await fleet.ended(ids, 30_000);
      expect(fleet.starts(strange)).toEqual([]);
      expect(JSON.stringify(worker.all("warning").map(({ payload }) => payload))).toContain("OnlyRubyKnowsIt");
      await until("it is not in our hands", async () => (await fleet.waiting()).includes(strange));
      const other = await fleet.spawn();
      await other.heard("refused", strange);
      expect(await fleet.deadSet()).toEqual([]);
    },
  );

  test(
    "a payload of 8 MB runs, survives the death of its process, and is the same byte for byte",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      fleet.record.close(); // MONITOR tells each payload several times over
      const filler = 'é\\"\\\\ '.repeat(800_000);
      const holder = await fleet.spawn();
      const id = await fleet.add({ task: "work", filler });
      await fleet.started(id, 1);
      const [text = ""] = Object.values(await fleet.scene.running());
      const next = await fleet.add({ ms: 10 });
      await holder.kill();
      const other = await fleet.spawn({ concurrency: 2 });
      expect((await fleet.started(id, 2)).process).toBe(other);
      await until("the next one ends", () => other.all("completed", next).length > 0);
      const [again = ""] = Object.values(await fleet.scene.running());
      const still = (one: string): string => one.replace(/"enqueued_at":[\d.]+/, "");
      expect(still(again) === still(text)).toBe(true);
    },
  );
});

const holderOf = ([proof = ""]: readonly string[]): string => proof.replace(/:\d+$/, "");
