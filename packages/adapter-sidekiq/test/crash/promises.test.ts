/* The promises of docs/guarantees.md on Sidekiq's queues, on real processes that are really killed. Those about the
 * recovering process and about poison pills stand in recoverer.test.ts and pills.test.ts, about Redis in store.test.ts. */
import { until } from "@assured-jobs/core/testing";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { holding, NOTHING, openFleet } from "./fleet.ts";
import type { Fleet, Member } from "./fleet.ts";

const LONG = 90_000;

describe("P1: no job is lost when a worker process dies", () => {
  test("a job whose process is killed runs again in another one", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder, [id = ""]] = await holding(fleet, 1);
    const other = await fleet.spawn();
    await holder.kill();
    expect((await fleet.started(id, 2)).process).toBe(other);
    expect(await fleet.recoveries(id)).toBe(1);
    expect(await fleet.deaths(id)).toBe(1);
  });

  test("a job that waits for its only process runs again when a new one comes", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder, [id = ""]] = await holding(fleet, 1);
    await holder.kill();
    const next = await fleet.spawn();
    expect((await fleet.started(id, 2)).process).toBe(next);
  });

  test(
    "killed between the fetch and its answer, a process leaves nothing behind that nobody owns",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const path = await fleet.path();
      const doomed = await fleet.spawn({ url: path.url, concurrency: 5 });
      const { redis, keys, queue } = fleet.scene;
      const isFetched = async (): Promise<boolean> => (await redis.hlen(keys.queue(queue).running)) > 0;
      await redis.sadd(keys.paused, queue);
      const ids = await fleet.addMany(5);
      for (;;) {
        path.freeze("replies");
        await redis.srem(keys.paused, queue);
        if (await until("they were fetched", isFetched, 3_000).catch(() => false)) break;
        await redis.sadd(keys.paused, queue); // an answer was on its way when the path froze, so no other fetch came
        path.thaw();
      }
      await doomed.kill();
      expect(fleet.told("started")).toEqual([]);
      const other = await fleet.spawn({ concurrency: 5 });
      for (const id of ids) expect((await fleet.started(id, 1)).process).toBe(other);
    },
  );

  test("with default settings it runs again within seconds", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder, [id = ""]] = await holding(fleet, 1, { assurance: null });
    const other = await fleet.spawn({ assurance: null });
    await holder.kill();
    const killed = performance.now();
    expect((await fleet.started(id, 2)).process).toBe(other);
    expect(performance.now() - killed).toBeLessThan(10_000);
  });

  test(
    "of very short jobs, too, none is lost or ends twice, wherever its process dies",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const options = { concurrency: 20, assurance: { recoveryWindow: 1_000 } };
      const crew = [await fleet.spawn(options), await fleet.spawn(options)];
      const ids: string[] = [];
      for (let kill = 0; kill < 12; kill++) {
        ids.push(...(await fleet.addMany(400, { ms: kill % 3 })));
        await sleep(Math.random() * 60); // the moment of the kill: any will do
        await crew[kill % 2]?.kill();
        crew[kill % 2] = await fleet.spawn(options);
      }
      await fleet.ended(ids);
      expect(ids.filter((id) => fleet.accepted(id).length !== 1)).toEqual([]);
      expect(await fleet.leftovers()).toEqual(NOTHING);
      expect(await fleet.scene.redis.get(fleet.scene.keys.processed)).toBe(String(ids.length));
    },
  );

  test("its process dies between the handler's end and Redis's answer: once accepted", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) {
      const holder = await fleet.spawn({ assurance: { autoRecovery: false } }); // nor runs what the one before had
      ids.push(await fleet.add({ ms: 5, dieWhenReturned: true }));
      await until("it is gone", () => holder.isGone);
    }
    const { redis, keys, queue } = fleet.scene;
    await redis.eval(FORGIVE, 1, keys.queue(queue).running);
    await fleet.spawn();
    await fleet.ended(ids);
    expect(ids.map((id) => fleet.accepted(id).length)).toEqual(ids.map(() => 1));
    expect(await fleet.leftovers()).toEqual(NOTHING);
  });
});

/** The jobs of dieWhenReturned kill nobody any more. */
const FORGIVE = `for _, proof in ipairs(redis.call('HKEYS', KEYS[1])) do
  redis.call('HSET', KEYS[1], proof, (string.gsub(redis.call('HGET', KEYS[1], proof), '"dieWhenReturned":true', '"was":true')))
end`;

describe("P4: a zombie cannot end a run that was given away", () => {
  /** A process that is really frozen until another one runs its job. */
  async function haunted(fleet: Fleet, data: object): Promise<[Member, Member, string]> {
    const zombie = await fleet.spawn();
    const id = await fleet.add(data);
    await fleet.started(id, 1);
    zombie.freeze();
    const other = await fleet.spawn();
    expect((await fleet.started(id, 2)).process).toBe(other);
    return [zombie, other, id];
  }

  test("its success is refused while the job runs again; it is told, and born again", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [zombie, other, id] = await haunted(fleet, { task: "asked" });
    zombie.thaw();
    expect((await zombie.heard("aborted", id)).code).toBe("ERR_FENCED");
    await zombie.ask("end", id);
    await zombie.heard("returned", id);
    await zombie.heard("instance.reborn");
    expect(Object.keys(await fleet.scene.running())).toHaveLength(1);
    expect(fleet.accepted(id)).toEqual([]);
    await other.ask("end", id);
    await fleet.ended([id]);
    expect(zombie.all("completed", id)).toEqual([]);
    await other.heard("completed", id);
    await other.kill();
    const next = await fleet.add({ ms: 10 });
    expect((await fleet.started(next, 1)).process).toBe(zombie);
    await fleet.ended([next]);
    expect(await fleet.leftovers()).toEqual(NOTHING);
  });

  test("its success is refused by Redis itself, before anybody has told it", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [zombie, other, id] = await haunted(fleet, { task: "block", ms: 4_000 });
    zombie.thaw(); // its loop goes on blocking, so its end is on its way before it can hear
    await fleet.ended([id]);
    await zombie.heard("instance.reborn");
    expect(fleet.accepted(id)).toHaveLength(1);
    expect([zombie.all("completed", id), other.all("completed", id).length]).toEqual([[], 1]);
  });

  test("its failure writes no retry, and uses none up", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [zombie, other, id] = await haunted(fleet, { task: "fail", ms: 3_000 });
    zombie.thaw();
    await zombie.heard("aborted", id);
    await zombie.heard("instance.reborn");
    await other.heard("failed", id);
    expect(fleet.accepted(id).map(({ kind }) => kind)).toEqual(["retry"]);
    expect(zombie.all("failed", id)).toEqual([]);
    const [entry = ""] = await fleet.scene.redis.zrange(fleet.scene.keys.retry, "0", "-1");
    expect(JSON.parse(entry)).toMatchObject({ jid: id, retry_count: 0, error_message: "on purpose" });
    expect(await fleet.leftovers()).toEqual({ ...NOTHING, retry: 1 });
  });

  test(
    "fenced while the answer to its fetch is lost, it undoes that and is born again",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const path = await fleet.path();
      const zombie = await fleet.spawn({ url: path.url });
      path.lose("replies");
      const id = await fleet.add({ ms: 10 });
      await zombie.heard("worker-error"); // the fetch was given up
      await fleet.store.roster.declare({ incarnation: zombie.incarnation, cause: "left" });
      await zombie.heard("instance.fenced");
      await path.mend();
      await zombie.heard("instance.reborn");
      await fleet.ended([id]);
      expect(fleet.accepted(id)).toHaveLength(1);
      expect(await fleet.leftovers()).toEqual(NOTHING);
    },
  );

  test("while it is frozen with free slots it swallows no job", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const patient = { heartbeatTtl: 60_000, heartbeatInterval: 10_000 };
    const frozen = await fleet.spawn({ concurrency: 10, assurance: patient });
    await fleet.spawn({ concurrency: 10, assurance: patient });
    frozen.freeze();
    const ids = await fleet.addMany(100, { ms: 1 });
    await fleet.ended(ids, 5_000);
    expect(fleet.told("instance.dead")).toEqual([]);
    frozen.thaw();
  });
});

describe("P5: a job that finished is not run again", () => {
  test("its process dies right after the finish", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const holder = await fleet.spawn();
    const id = await fleet.add({ ms: 1_500, dieWhenDone: true });
    await fleet.started(id, 1);
    const other = await fleet.spawn();
    await until("the holder is gone", () => holder.isGone);
    await other.heard("instance.dead");
    expect(await other.ask("recover")).toMatchObject({ requeued: 0 });
    expect(fleet.starts(id)).toHaveLength(1);
    expect(fleet.accepted(id)).toHaveLength(1);
    expect(await fleet.leftovers()).toEqual(NOTHING);
  });
});

describe("P6: a blocked event loop is not a death", () => {
  test("11 s with default settings, beside idle workers: each job runs once", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    await Promise.all(Array.from({ length: 4 }, () => fleet.spawn({ assurance: null })));
    const ids = await Promise.all([1, 2, 3].map(() => fleet.add({ task: "block", ms: 11_000 })));
    await fleet.ended(ids);
    expect(ids.map((id) => [fleet.starts(id).length, fleet.accepted(id).length])).toEqual(ids.map(() => [1, 1]));
    expect(fleet.told("instance.dead")).toEqual([]);
  });

  test("blocked for several leases beside an idle worker, the job runs once", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const blocked = await fleet.spawn();
    const id = await fleet.add({ task: "block", ms: 4_000 });
    await fleet.started(id, 1);
    await fleet.spawn();
    await until("it is told as blocked, and not as dead", async () => {
      const { items } = await fleet.store.roster.instances({ limit: 10 });
      return items.some(({ registration, state }) => registration.name === blocked.name && state === "blocked");
    });
    await blocked.heard("completed", id);
    expect(fleet.starts(id)).toHaveLength(1);
    expect(fleet.told("instance.dead")).toEqual([]);
  });
});

describe("P8: clocks of machines do not matter", () => {
  test("an hour ahead, an hour behind: a death is noticed and a life is not", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const HOUR = 3_600_000;
    const [holder, [id = ""]] = await holding(fleet, 1, { clockShift: HOUR });
    await fleet.spawn({ clockShift: -HOUR });
    await sleep(2_000); // two leases in which nobody may be declared dead
    expect(fleet.told("instance.dead")).toEqual([]);
    await holder.kill();
    await fleet.started(id, 2);
    expect(await fleet.recoveries(id)).toBe(1);
  });
});

describe("P9: the same name", () => {
  const patient = { presenceGrace: 20_000, heartbeatInterval: 10_000, heartbeatTtl: 60_000 };

  test("a restart under it gives the old jobs back without waiting for the grace", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder, [id = ""]] = await holding(fleet, 1, { name: "pod-0", assurance: patient });
    await holder.kill();
    const next = await fleet.spawn({ name: "pod-0", assurance: patient });
    expect((await fleet.started(id, 2)).process).toBe(next);
    const [death] = await fleet.store.roster.dead();
    expect(death?.cause).toBe("replaced");
  });

  test("a living sibling under it is not harmed, and somebody is warned", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [, [id = ""]] = await holding(fleet, 1, { name: "twin" });
    const sibling = await fleet.spawn({ name: "twin" });
    await sleep(2_000); // ten graces, two leases
    expect(fleet.told("instance.dead")).toEqual([]);
    expect(fleet.starts(id)).toHaveLength(1);
    expect(JSON.stringify(sibling.all("warning").map(({ payload }) => payload))).toContain("twin");
  });
});

describe("P13: leaving is a handover", () => {
  for (const order of ["stopFirst", "closeFirst"] as const) {
    test(
      `${order}: what ends in time ends here, and nobody takes the leaving one for dead`,
      { timeout: LONG },
      async () => {
        const fleet = await openFleet();
        const leaving = await fleet.spawn();
        const id = await fleet.add({ ms: 1_500 });
        await fleet.started(id, 1);
        await fleet.spawn();
        await leaving.ask(order, { timeout: 20_000 });
        await fleet.ended([id]);
        await leaving.kill();
        await sleep(600); // three graces
        expect(fleet.starts(id)).toHaveLength(1);
        expect(fleet.told("instance.dead")).toEqual([]);
      },
    );

    test(
      `${order}: what does not end in time is the next to run elsewhere, and is charged to nobody`,
      { timeout: LONG },
      async () => {
        const fleet = await openFleet();
        const [leaving, ids] = await holding(fleet, 2);
        const later = await fleet.add();
        expect(await leaving.ask(order, { timeout: 100 })).toMatchObject({ left: 0 });
        expect((await fleet.waiting()).toSorted()).toEqual([...ids, later].toSorted());
        expect((await fleet.waiting()).at(-1)).toBe(later);
        expect(await fleet.scene.running()).toEqual({});
        const other = await fleet.spawn({ concurrency: 2 });
        for (const id of ids) expect((await fleet.started(id, 2)).process).toBe(other);
        for (const id of ids)
          expect([await fleet.deaths(id), await fleet.recoveries(id)]).toEqual([0, expect.any(Number)]);
        expect(fleet.told("instance.dead")).toEqual([]);
      },
    );

    test(`${order}, under load: nothing is stranded, doubled or charged`, { timeout: LONG }, async () => {
      const fleet = await openFleet();
      const ids: string[] = [];
      for (let round = 0; round < 4; round++) {
        const leaving = await fleet.spawn({ concurrency: 10 });
        ids.push(...(await fleet.addMany(100, { ms: 20 })));
        await leaving.heard("started");
        await leaving.ask(order, { timeout: 200 });
        expect(await fleet.scene.running()).toEqual({});
        await leaving.kill();
      }
      await fleet.spawn({ concurrency: 50 });
      await fleet.ended(ids);
      expect(ids.filter((id) => fleet.accepted(id).length !== 1)).toEqual([]);
      expect(fleet.told("instance.dead")).toEqual([]);
    });
  }

  test(
    "a handler that ignores its signal is handed over all the same, and its late end is refused",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const leaving = await fleet.spawn();
      const id = await fleet.add({ task: "asked" });
      await fleet.started(id, 1);
      const other = await fleet.spawn();
      expect(await leaving.ask("stop", { timeout: 100 })).toMatchObject({ handedOver: 1, left: 0 });
      expect((await fleet.started(id, 2)).process).toBe(other);
      await leaving.ask("end", id);
      await leaving.heard("returned", id);
      await other.ask("end", id);
      await fleet.ended([id]);
      expect(leaving.all("completed", id)).toEqual([]);
      expect(fleet.accepted(id)).toHaveLength(1);
    },
  );

  test("killed while it leaves: the jobs come back, uncharged", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder, [id = ""]] = await holding(fleet, 1);
    await fleet.spawn();
    holder.child.send({ call: "stop", args: [{ timeout: 30_000 }], order: -1 });
    await until("it is leaving", async () =>
      (await fleet.store.roster.instances({ limit: 10 })).items.some(({ state }) => state === "leaving"),
    );
    await holder.kill();
    await fleet.started(id, 2);
    expect(await fleet.deaths(id)).toBe(0);
  });

  test("with signals switched on, SIGTERM hands over and exits", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder, [id = ""]] = await holding(fleet, 1, { assurance: { signals: true, stopTimeout: 100 } });
    const other = await fleet.spawn();
    holder.child.kill("SIGTERM");
    await until("it exits", () => holder.isGone);
    expect(holder.child.exitCode).toBe(143);
    expect((await fleet.started(id, 2)).process).toBe(other);
    expect(fleet.told("instance.dead")).toEqual([]);
  });
});

describe("P14: everything leaves an event", () => {
  test(
    "a death and its recoveries are in the history, with who, what, when and the evidence",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const [holder, [id = ""]] = await holding(fleet, 1);
      const [{ run = 0 } = {}] = fleet.starts(id);
      await fleet.spawn();
      await holder.kill();
      await fleet.started(id, 2);
      expect(await fleet.recoveries(id)).toBe(1);
      const observer = await fleet.observe();
      const deaths = await observer.snapshot.history("deaths");
      expect(deaths.items).toMatchObject([{ type: "instance.dead", who: holder.incarnation, detail: "absent" }]);
      expect(deaths.items[0]?.evidence).toMatch(/^connection gone for \d+ ms/);
      const { items } = await observer.snapshot.history("recoveries", { queue: fleet.scene.key, job: id });
      expect(items).toMatchObject([{ type: "orphan.recovered", run, evidence: `held by ${holder.incarnation}` }]);
      expect(items[0]!.at).toBeGreaterThanOrEqual(deaths.items[0]!.at);
    },
  );
});

describe("a crash is none of the job's attempts", () => {
  test("retries mean what they mean in Sidekiq", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const [holder] = await holding(fleet, 1);
    const id = await fleet.add({ task: "fail", ms: 10 }, { retry: 1 });
    await holder.kill();
    const worker = await fleet.spawn({ concurrency: 2 });
    await worker.heard("failed", id);
    const { redis, keys } = fleet.scene;
    const [entry = ""] = await redis.zrange(keys.retry, "0", "-1");
    await redis.zadd(keys.retry, "XX", 1, entry); // due since long ago
    await until("its last retry has failed", () => fleet.accepted(id).length === 2);
    expect(fleet.accepted(id).map(({ kind }) => kind)).toEqual(["retry", "dead"]);
    const [text = ""] = await redis.zrange(keys.dead, "0", "-1");
    expect(JSON.parse(text)).toMatchObject({ jid: id, retry_count: 1, error_class: "Error" });
  });
});
