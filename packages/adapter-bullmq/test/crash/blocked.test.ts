/* P6: alive, late, blocked and dead are four states, and only the last one gives jobs away. With default settings, as
 * users have them: BullMQ alone runs a job that blocks its loop for 75 s twice, each time. */
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { until } from "@assured-jobs/core/testing";
import { openFleet } from "./fleet.ts";
import type { Fleet, Member } from "./fleet.ts";

const BLOCK = 75_000;
const LONG = { timeout: 180_000 } as const;
/** What users get who set nothing: overrides what makes other tests quick. */
const DEFAULTS = {
  heartbeatInterval: 15_000,
  heartbeatTtl: 45_000,
  presenceGrace: 1_000,
  lookInterval: 250,
  recoveryInterval: 1_000,
};

/** BullMQ's own default. */
const LOCK = 30_000;

async function lockOf(fleet: Fleet, id: string): Promise<string | null> {
  const client = new Redis(fleet.redis.port);
  try {
    return await client.get(`${fleet.queue.qualifiedName}:${id}:lock`);
  } finally {
    client.disconnect();
  }
}

async function endsOnce(fleet: Fleet, holder: Member, id: string): Promise<void> {
  await until(`job ${id} ends where it began`, () => holder.all("completed", id).length === 1, BLOCK + 30_000);
  expect(fleet.starts(id)).toHaveLength(1);
  expect((await fleet.accepted()).get(id)).toBe(1);
  expect(await fleet.queue.getJob(id)).toMatchObject({ stalledCounter: 0, attemptsStarted: 1 });
  expect(holder.all("instance.fenced")).toEqual([]);
}

test.concurrent(
  "with default settings, a loop that is blocked for 75 s beside an idle worker: the job runs once, and a real death meanwhile is noticed within seconds though the blocked one had the duty",
  LONG,
  async ({ onTestFinished }) => {
    const fleet = await openFleet(undefined, { cleanup: onTestFinished });
    const blocked = await fleet.spawn({ assurance: DEFAULTS });
    await until("it has both duties", () => blocked.all("duty.taken").length === 2);
    const id = await fleet.add({ task: "block", ms: BLOCK });
    await fleet.started(id, 1);
    const doomed = await fleet.spawn({ assurance: DEFAULTS });
    await until("another one has both duties", () => doomed.all("duty.taken").length === 2);
    const orphan = await fleet.add();
    await fleet.started(orphan, 1);
    const idle = await fleet.spawn({ assurance: DEFAULTS });
    const observer = await fleet.observe();
    await until("the first is told as blocked, with the evidence", async () => {
      const { items } = await observer.snapshot.instances({ state: "blocked" });
      return items.some(({ name, evidence }) => name === blocked.name && /^event loop stuck for \d+ ms/.test(evidence));
    });

    await doomed.kill();
    const killed = performance.now();
    expect((await fleet.started(orphan, 2)).process).toBe(idle);
    expect(performance.now() - killed).toBeLessThan(10_000);

    const stuckFor = async (): Promise<number> => {
      const [one] = (await observer.snapshot.instances({ name: blocked.name })).items;
      return Number(/stuck for (\d+) ms/.exec(one?.evidence ?? "")?.[1] ?? 0);
    };
    await until("its own lock would have lapsed", async () => (await stuckFor()) > 1.5 * LOCK, BLOCK);
    expect(await lockOf(fleet, id), "the lock that others renew for it").not.toBeNull();
    await endsOnce(fleet, blocked, id);
    expect(fleet.told("instance.dead")).toHaveLength(1);
  },
);

test.concurrent(
  "with default settings and no thread for its pulse, a loop that is blocked for 75 s: no beat for longer than the lease, and still its job runs once",
  LONG,
  async ({ onTestFinished }) => {
    const fleet = await openFleet(undefined, { cleanup: onTestFinished });
    const blocked = await fleet.spawn({ assurance: DEFAULTS, withoutThread: true });
    expect((await blocked.ask<{ pulse: { mode: string } }>("health")).pulse.mode).toBe("main");
    const id = await fleet.add({ task: "wait", ms: BLOCK });
    await fleet.started(id, 1);
    await fleet.spawn({ assurance: DEFAULTS });
    const observer = await fleet.observe();
    await until(
      "its silence is longer than the lease, and it is not dead",
      async () => {
        const [one] = (await observer.snapshot.instances({ name: blocked.name })).items;
        const [, silent = 0] = /last beat (\d+) ms/.exec(one?.evidence ?? "") ?? [];
        return one?.state === "late" && Number(silent) > DEFAULTS.heartbeatTtl;
      },
      BLOCK,
    );
    await endsOnce(fleet, blocked, id);
    expect(fleet.told("instance.dead").map(({ payload }) => payload)).toEqual([]);
  },
);

test.concurrent(
  "without a thread, blocked for longer than four leases: it is given up, its job runs again once, one end is accepted, and it is born again",
  LONG,
  async ({ onTestFinished }) => {
    const fleet = await openFleet(undefined, { cleanup: onTestFinished });
    const assurance = { heartbeatInterval: 300, heartbeatTtl: 1_500 };
    const blocked = await fleet.spawn({ assurance, withoutThread: true });
    const id = await fleet.add({ task: "wait", ms: 30_000 });
    await fleet.started(id, 1);
    const other = await fleet.spawn({ assurance: { heartbeatInterval: 1_000, heartbeatTtl: 10_000 } });
    await until("it is given up", () => fleet.starts(id).length === 2, 30_000);
    const again = fleet.starts(id)[1]!;
    expect(again.process).toBe(other);
    expect(again.at - fleet.starts(id)[0]!.at).toBeGreaterThan(4 * assurance.heartbeatTtl);
    await until("it is born again", () => blocked.all("instance.reborn").length === 1, 40_000);
    await fleet.completed(1);
    expect(blocked.all("completed", id)).toEqual([]);
    expect((await fleet.accepted()).get(id)).toBe(1);
  },
);

test.concurrent(
  "alive, late, blocked and dead: an observer sees each of them, with its evidence",
  LONG,
  async ({ onTestFinished }) => {
    const fleet = await openFleet(undefined, { cleanup: onTestFinished });
    const assurance = { heartbeatInterval: 1_000, heartbeatTtl: 60_000, presenceGrace: 1_000 };
    const names = ["alive", "late", "blocked", "dead"] as const;
    const [, late, blocked, dead] = await Promise.all(names.map((name) => fleet.spawn({ name, assurance })));
    await Promise.all([late, dead].map((one) => one!.ask("pause")));
    await fleet.spawn({ name: "witness", assurance, worker: null });
    const observer = await fleet.observe();
    const seen = async (state: (typeof names)[number]): Promise<string[]> =>
      (await observer.snapshot.instances({ state })).items.map(({ name, evidence }) => `${name}: ${evidence}`);
    const sees = async (state: (typeof names)[number], what: RegExp): Promise<void> => {
      await until(`one is ${state}`, async () => (await seen(state)).some((one) => what.test(one)));
    };
    await sees("alive", /^alive: last beat \d+ ms of observed time ago$/);
    late!.freeze();
    await sees("late", /^late: missed a beat; last beat \d+ ms of observed time ago$/);
    await dead!.kill();
    await sees("dead", /^dead: absent: connection gone for \d+ ms of observed time, in \d+ looks$/);
    const ids = [await fleet.add({ task: "wait", ms: 10_000 }), await fleet.add({ task: "wait", ms: 10_000 })];
    for (const id of ids) await fleet.started(id, 1);
    await sees("blocked", /^blocked: event loop stuck for \d+ ms at the last beat \d+ ms of observed time ago$/);
    late!.thaw();
    await sees("alive", /^late: /);
    await until("both blocks are over", () => fleet.told("completed").length === 2, 30_000);
    await sees("alive", /^blocked: /);
    expect(await seen("dead")).toHaveLength(1);
    expect(blocked!.all("instance.fenced")).toEqual([]);
  },
);
