/* The promises of docs/guarantees.md, on real processes that are really killed. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { until } from "@assured-jobs/core/testing";
import { openFleet } from "./fleet.ts";
import type { Fleet, Member } from "./fleet.ts";

const LONG = 90_000;

/** A process that holds `count` jobs, one after the other in its handlers, and their ids. */
async function holding(
  fleet: Fleet,
  count: number,
  options: Parameters<Fleet["spawn"]>[0] = {},
): Promise<{ holder: Member; ids: string[] }> {
  const holder = await fleet.spawn({ ...options, worker: { concurrency: count, ...options.worker } });
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await fleet.add());
  for (const id of ids) await fleet.started(id, 1);
  return { holder, ids };
}

const recoveries = async (fleet: Fleet, id: string): Promise<number> => {
  await until("all cases are closed", async () => (await fleet.store.ledger.counts()).pending === 0);
  const { items } = await fleet.store.ledger.history("recoveries", { limit: 1_000 });
  return items.filter((event) => event.job === id && event.type === "orphan.recovered").length;
};

const attempts = async (fleet: Fleet, id: string): Promise<number> =>
  (await fleet.queue.getJob(id))?.attemptsStarted ?? 0;

describe("P1: no job is lost when a worker process dies", () => {
  test("a job whose process is killed runs again in another one", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const {
      holder,
      ids: [id = ""],
    } = await holding(fleet, 1);
    const other = await fleet.spawn();
    await holder.kill();
    const again = await fleet.started(id, 2);
    expect(again.process).toBe(other);
    expect(await recoveries(fleet, id)).toBe(1);
  });

  test("a job that waits for its only process runs again when a new one comes", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const {
      holder,
      ids: [id = ""],
    } = await holding(fleet, 1);
    await holder.kill();
    const next = await fleet.spawn();
    expect((await fleet.started(id, 2)).process).toBe(next);
  });

  test("every job ends, accepted once, while processes are killed at random", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const jobs = 300;
    const kills = 12;
    await fleet.queue.addBulk(Array.from({ length: jobs }, (_, n) => ({ name: "job", data: { ms: (n * 37) % 120 } })));
    const worker = { concurrency: 5 };
    const team = [await fleet.spawn({ worker }), await fleet.spawn({ worker })];
    for (let n = 0; n < kills; n++) {
      await sleep(100 + ((n * 173) % 300)); // the moment of the kill: any will do
      await team[n % 2]!.kill();
      team[n % 2] = await fleet.spawn({ worker });
    }
    await fleet.completed(jobs);
    const accepted = await fleet.accepted();
    expect(accepted.size).toBe(jobs);
    expect([...accepted.values()].filter((times) => times !== 1)).toEqual([]);
  });

  test("odd names of instance and queue change nothing", { timeout: LONG }, async () => {
    const fleet = await openFleet("pay ments {eu} é");
    const {
      holder,
      ids: [id = ""],
    } = await holding(fleet, 1, { name: "pod: {a} b/c" });
    await fleet.spawn({ name: "pod: {b}" });
    await holder.kill();
    await fleet.started(id, 2);
    expect(await recoveries(fleet, id)).toBe(1);
  });
});

describe("P2: no job is lost when the recovering process dies", () => {
  test("killed after any step of a recovery: each job goes back once", { timeout: 5 * LONG }, async () => {
    for (let step = 1; ; step++) {
      const fleet = await openFleet();
      const { holder, ids } = await holding(fleet, 3);
      const recoverer = fleet.launch({ worker: null, dieAfter: step });
      await recoverer.heard("ready");
      await holder.kill();
      const survived = await until("the recoverer dies, or has recovered everything", async () => {
        if (recoverer.isGone) return "died";
        return recoverer.all("orphan.recovered").length === ids.length && step > 12 ? "survived" : undefined;
      });
      const successor = await fleet.spawn({ worker: { concurrency: 3 } });
      for (const id of ids) expect((await fleet.started(id, 2)).process, `step ${step}`).toBe(successor);
      for (const id of ids) {
        expect(await recoveries(fleet, id), `recoveries, step ${step}`).toBe(1);
        expect(await attempts(fleet, id), `runs, step ${step}`).toBe(2);
        expect(await fleet.store.casebook.deaths(fleet.key, id, 1e9), `deaths, step ${step}`).toBe(1);
      }
      await successor.kill();
      if (survived === "survived") return;
    }
  });
});

describe("P3: each orphan goes back once per death", () => {
  test("four processes that recover at the same moment requeue it once", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const { holder, ids } = await holding(fleet, 20);
    const manual = { autoRecovery: false };
    const recoverers = await Promise.all([1, 2, 3, 4].map(() => fleet.spawn({ worker: null, assurance: manual })));
    await holder.kill();
    await until("the death is declared", () => fleet.told("instance.dead").length > 0);
    await Promise.all(recoverers.map((one) => one.ask("recover")));
    await fleet.spawn({ worker: { concurrency: 20 } });
    for (const id of ids) {
      await fleet.started(id, 2);
      expect(await attempts(fleet, id)).toBe(2);
      expect(await recoveries(fleet, id)).toBe(1);
    }
  });
});

describe("P4: a zombie cannot end a run that was given away", () => {
  test("paused beyond its lease, it is refused, told, and born again", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const zombie = await fleet.spawn();
    const id = await fleet.add({ task: "stubborn", ms: 6_000 });
    await fleet.started(id, 1);
    zombie.freeze();
    const other = await fleet.spawn();
    const again = await fleet.started(id, 2);
    expect(again.process).toBe(other);
    zombie.thaw();
    expect((await zombie.heard("aborted", id)).code).toBe("ERR_FENCED");
    await zombie.heard("returned", id);
    await fleet.completed(1);
    expect((await fleet.queue.getJob(id))?.returnvalue).toBe(other.child.pid);
    expect((await fleet.accepted()).get(id)).toBe(1);
    expect(zombie.all("completed", id)).toEqual([]);
    await zombie.heard("instance.reborn");
    await other.kill();
    const next = await fleet.add({ ms: 10 });
    expect((await fleet.started(next, 1)).process).toBe(zombie);
    await fleet.completed(2);
  });
});

describe("P5: a job that finished is not run again", () => {
  for (const removeOnComplete of [false, true]) {
    test(
      `its process dies right after the finish; removeOnComplete ${removeOnComplete}`,
      { timeout: LONG },
      async () => {
        const fleet = await openFleet();
        const holder = await fleet.spawn();
        const id = await fleet.add({ ms: 1_500, dieWhenDone: true }, { removeOnComplete });
        const other = await fleet.spawn();
        await until("the holder is gone", () => holder.isGone || other.isGone);
        const survivor = holder.isGone ? other : holder;
        await survivor.heard("instance.dead");
        const pass = await survivor.ask<{ requeued: number }>("recover");
        expect(pass.requeued).toBe(0);
        expect(fleet.starts(id)).toHaveLength(1);
        expect((await fleet.accepted()).get(id)).toBe(1);
      },
    );
  }
});

describe("P6: a blocked event loop is not a death", () => {
  test(
    "blocked for three locks and three leases beside an idle worker, the job runs once",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const worker = { lockDuration: 1_000, stalledInterval: 1_000 };
      await fleet.spawn({ worker });
      await fleet.spawn({ worker }); // there before the lock lapses, however slowly a process starts here
      const id = await fleet.add({ task: "block", ms: 4_000 });
      const { process: blocked } = await fleet.started(id, 1);
      await until("it is told as blocked, and not as dead", async () => {
        const { items } = await fleet.store.roster.instances({ limit: 10 });
        return items.some(({ registration, state }) => registration.name === blocked.name && state === "blocked");
      });
      await blocked.heard("completed", id);
      expect(fleet.starts(id)).toHaveLength(1);
      expect(fleet.told("instance.dead")).toEqual([]);
    },
  );
});

describe("P7: a store that stands still kills nobody", () => {
  test(
    "Redis frozen for longer than every lease and lock: all live on, each job runs once",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const worker = { lockDuration: 1_500, stalledInterval: 1_500 };
      const team = [await fleet.spawn({ worker }), await fleet.spawn({ worker })];
      const ids = [await fleet.add({ ms: 8_000 }), await fleet.add({ ms: 8_000 })];
      for (const id of ids) await fleet.started(id, 1);
      await fleet.redis.pause();
      await sleep(4_000); // the outage itself
      await fleet.redis.resume();
      await fleet.completed(2);
      for (const id of ids) expect(fleet.starts(id)).toHaveLength(1);
      expect(fleet.told("instance.dead")).toEqual([]);
      expect(team.flatMap((one) => one.all("instance.fenced"))).toEqual([]);
    },
  );
});

describe("P8: clocks of machines do not matter", () => {
  test("an hour ahead, an hour behind: a death is noticed and a life is not", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const HOUR = 3_600_000;
    const {
      holder,
      ids: [id = ""],
    } = await holding(fleet, 1, { clockShift: HOUR });
    await fleet.spawn({ clockShift: -HOUR });
    await sleep(2_000); // two leases in which nobody may be declared dead
    expect(fleet.told("instance.dead")).toEqual([]);
    await holder.kill();
    await fleet.started(id, 2);
    expect(await recoveries(fleet, id)).toBe(1);
  });
});

describe("P9: the same name", () => {
  const patient = { presenceGrace: 20_000, heartbeatInterval: 10_000, heartbeatTtl: 60_000 };

  test(
    "a restart under the same name gives the old jobs back without waiting for the grace",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const {
        holder,
        ids: [id = ""],
      } = await holding(fleet, 1, { name: "pod-0", assurance: patient });
      await holder.kill();
      const next = await fleet.spawn({ name: "pod-0", assurance: patient });
      expect((await fleet.started(id, 2)).process).toBe(next);
      const [death] = await fleet.store.roster.dead();
      expect(death?.cause).toBe("replaced");
    },
  );

  test("a living sibling of the same name is not harmed, and somebody is warned", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const {
      ids: [id = ""],
    } = await holding(fleet, 1, { name: "twin" });
    const sibling = await fleet.spawn({ name: "twin" });
    await sleep(2_000); // ten graces, two leases
    expect(fleet.told("instance.dead")).toEqual([]);
    expect(fleet.starts(id)).toHaveLength(1);
    expect(JSON.stringify(sibling.all("warning").map((told) => told.payload))).toContain("twin");
  });
});

describe("P10: recovery goes on whoever is missing", () => {
  test("a paused holder of the duty is replaced", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const slow = { heartbeatInterval: 10_000, heartbeatTtl: 60_000 };
    const onDuty = await fleet.spawn({ worker: null, assurance: slow });
    await onDuty.heard("duty.taken");
    const {
      holder,
      ids: [id = ""],
    } = await holding(fleet, 1, { assurance: slow });
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
      const {
        holder,
        ids: [id = ""],
      } = await holding(fleet, 1);
      const stranger = await openStranger(fleet);
      await holder.kill();
      await stranger.heard("instance.dead");
      await sleep(1_000); // ten passes of somebody who does not know the queue
      expect((await fleet.store.roster.dead()).map((death) => death.registration.incarnation)).toEqual([
        holder.incarnation,
      ]);
      const next = await fleet.spawn();
      expect((await fleet.started(id, 2)).process).toBe(next);
    },
  );
});

/** A process on another queue of the same Redis and namespace. */
async function openStranger(fleet: Fleet): Promise<Member> {
  const elsewhere = Object.create(fleet, { queue: { value: { name: `${fleet.queue.name}-other` } } }) as Fleet;
  return elsewhere.spawn({ assurance: { delayedRecoveryInterval: 100, delayedRecoveryCount: 1_000 } });
}

describe("P11: a poison pill stops", () => {
  test(
    "three deaths are survived with BullMQ's defaults; at the fourth the job is buried, and released by one call",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const id = await fleet.add({ task: "poison" }, { removeOnFail: true });
      for (let death = 1; death <= 4; death++) {
        const victim = fleet.launch();
        await until(`death ${death}`, () => victim.isGone, 30_000);
      }
      const witness = await fleet.spawn();
      await witness.heard("orphan.buried");
      expect(fleet.starts(id)).toHaveLength(4);
      expect(await (await fleet.queue.getJob(id))?.getState()).toBe("failed");
      const observer = await fleet.observe();
      expect((await observer.snapshot.quarantine()).items).toMatchObject([{ id, deaths: 4 }]);

      await (await fleet.queue.getJob(id))?.updateData({ task: "work", ms: 10 });
      await observer.release({ queue: fleet.key, id, actor: "a test", reason: "mended" });
      await fleet.completed(1);
      expect((await observer.snapshot.quarantine()).items).toEqual([]);
      expect((await observer.snapshot.history("actions")).items).toMatchObject([
        { type: "action.release", who: "a test", job: id },
      ]);
    },
  );
});

describe("P13: a shutdown is a handover", () => {
  for (const order of ["stopFirst", "closeFirst"] as const) {
    test(
      `${order}: what ends in time ends here, and nobody takes the leaving one for dead`,
      { timeout: LONG },
      async () => {
        const fleet = await openFleet();
        const leaving = await fleet.spawn();
        const id = await fleet.add({ ms: 2_000 });
        await fleet.started(id, 1);
        await fleet.spawn();
        await leaving.ask(order, { timeout: 20_000 });
        leaving.child.send({ call: "exit" });
        await fleet.completed(1);
        await until("it is gone", () => leaving.isGone);
        await sleep(600); // three graces
        expect(fleet.starts(id)).toHaveLength(1);
        expect(fleet.told("instance.dead")).toEqual([]);
      },
    );
  }

  test(
    "what does not end in time is requeued by the leaving process itself, uncharged",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const {
        holder,
        ids: [id = ""],
      } = await holding(fleet, 1);
      const other = await fleet.spawn();
      const report = await holder.ask<object>("stop", { timeout: 200 });
      expect(report).toMatchObject({ left: 0 });
      expect((await fleet.started(id, 2)).process).toBe(other);
      expect(await fleet.store.casebook.deaths(fleet.key, id, 1e9)).toBe(0);
      expect(fleet.told("instance.dead")).toEqual([]);
    },
  );

  test(
    "a handler that ignores its signal is handed over all the same, and its late end is refused",
    { timeout: LONG },
    async () => {
      const fleet = await openFleet();
      const leaving = await fleet.spawn();
      const id = await fleet.add({ task: "stubborn", ms: 3_000 });
      await fleet.started(id, 1);
      const other = await fleet.spawn();
      expect(await leaving.ask<object>("stop", { timeout: 100 })).toMatchObject({ handedOver: 1, left: 0 });
      await leaving.heard("returned", id);
      await fleet.completed(1);
      expect((await fleet.queue.getJob(id))?.returnvalue).toBe(other.child.pid);
      expect((await fleet.accepted()).get(id)).toBe(1);
    },
  );

  test("killed while it leaves: the jobs come back, uncharged", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const {
      holder,
      ids: [id = ""],
    } = await holding(fleet, 1);
    await fleet.spawn();
    holder.child.send({ call: "stop", args: [{ timeout: 30_000 }], order: -1 });
    await until("it is leaving", async () =>
      (await fleet.store.roster.instances({ limit: 10 })).items.some((one) => one.state === "leaving"),
    );
    await holder.kill();
    await fleet.started(id, 2);
    expect(await fleet.store.casebook.deaths(fleet.key, id, 1e9)).toBe(0);
  });

  test("with signals switched on, SIGTERM hands over and exits", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const {
      holder,
      ids: [id = ""],
    } = await holding(fleet, 1, { assurance: { signals: true, stopTimeout: 100 } });
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
      const {
        holder,
        ids: [id = ""],
      } = await holding(fleet, 1);
      await fleet.spawn();
      await holder.kill();
      await fleet.started(id, 2);
      expect(await recoveries(fleet, id)).toBe(1);
      const observer = await fleet.observe();
      const deaths = await observer.snapshot.history("deaths");
      expect(deaths.items).toMatchObject([{ type: "instance.dead", who: holder.incarnation, detail: "absent" }]);
      expect(deaths.items[0]?.evidence).toMatch(/^connection gone for \d+ ms/);
      const { items } = await observer.snapshot.history("recoveries", { queue: fleet.key, job: id });
      expect(items).toMatchObject([{ type: "orphan.recovered", run: 1, evidence: `held by ${holder.incarnation}` }]);
      expect(items[0]!.at).toBeGreaterThanOrEqual(deaths.items[0]!.at);
    },
  );
});

describe("P15: bad input stops nothing", () => {
  test("records that nobody can read are set aside, and recovery goes on", { timeout: LONG }, async () => {
    const fleet = await openFleet();
    const {
      holder,
      ids: [id = ""],
    } = await holding(fleet, 1);
    await fleet.spawn();
    const { Redis } = await import("ioredis");
    const redis = new Redis(fleet.redis.port);
    const ns = "{assured_jobs}";
    await redis.hset(`${ns}:instances`, "torn", '{"name":"torn', "foreign", "[]", "half", "{}");
    await redis.zadd(`${ns}:roll`, 0, "torn", 0, "foreign", 0, "half");
    await redis.zadd(`${ns}:deadlines`, 0, "torn", 0, "foreign", 0, "half");
    await redis.hset(`${ns}:dead`, "torn-dead", "not json");
    await redis.hset(`${ns}:cases:${encodeURIComponent(fleet.key)}`, "torn-case", "{");
    await redis.lpush(`${fleet.queue.qualifiedName}:active`, "phantom-1");
    await holder.kill();
    await fleet.started(id, 2);
    expect(await recoveries(fleet, id)).toBe(1);
    await until("all five are set aside, and kept", async () => (await redis.hlen(`${ns}:malformed`)) === 5);
    await until(
      "the phantom is cleaned up",
      async () => (await redis.lpos(`${fleet.queue.qualifiedName}:active`, "phantom-1")) === null,
    );
    redis.disconnect();
  });
});
