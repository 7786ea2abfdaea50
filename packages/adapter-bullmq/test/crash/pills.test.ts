/* P11: a poison pill stops, and nobody who only shared its process is buried with it. Real processes, really killed,
 * by the job itself; another one takes the place of each that dies, as a supervisor would see to it. */
import { startRedis } from "@assured-jobs/dev-redis";
import { Queue } from "bullmq";
import { expect, test } from "vitest";
import { until } from "@assured-jobs/core/testing";
import { openFleet } from "./fleet.ts";
import type { Cleanup, Fleet, Member, ProcessOptions } from "./fleet.ts";

const LONG = { timeout: 240_000 } as const;
/** How long the pills leave the others, so that all are in flight when the process dies. */
const FUSE = 300;
/** Every run of the others lasts longer than that, so whoever runs beside a pill dies with it each time. */
const INNOCENT = 1_000;
const BUDGET = 3;
/** Nobody lapses because the machine is busy: a death that is none would be charged to the innocent. */
const assurance = { heartbeatInterval: 1_000, heartbeatTtl: 15_000, presenceGrace: 500 };

/** Keeps one worker alive, until the test is over. */
function supervise(fleet: Fleet, cleanup: Cleanup, options: ProcessOptions): { readonly shifts: readonly Member[] } {
  const shifts: Member[] = [];
  let over = false;
  cleanup(() => void (over = true));
  const relieve = (): void => {
    if (over) return;
    const member = fleet.launch({ assurance, ...options });
    member.child.once("exit", relieve);
    shifts.push(member);
  };
  relieve();
  return { shifts };
}

const quarantine = async (fleet: Fleet): Promise<string[]> =>
  (await fleet.store.ledger.quarantined({ limit: 100 })).items.map(({ id }) => id);

const addPill = (fleet: Fleet, jobId: string): Promise<string> =>
  fleet.add({ task: "poison", after: FUSE }, { jobId, removeOnFail: true });

async function addInnocents(fleet: Fleet, count: number): Promise<string[]> {
  const jobs = Array.from({ length: count }, (_, n) => ({
    name: "job",
    data: { ms: INNOCENT },
    opts: { jobId: `innocent-${n}` },
  }));
  return (await fleet.queue.addBulk(jobs)).map(({ id }) => id!);
}

function openQueue(fleet: Fleet, name: string, cleanup: Cleanup): Queue {
  const queue = new Queue(name, { connection: { host: "127.0.0.1", port: fleet.redis.port } });
  queue.on("error", () => {});
  cleanup(() => queue.close());
  return queue;
}

/** Waits until the pills, and they alone, are buried, and everybody else has ended. */
async function theGuiltyAreBuried(fleet: Fleet, pills: readonly string[], innocents: number): Promise<void> {
  // The record of a burial comes before the burial itself.
  const done = async (): Promise<boolean> =>
    (await quarantine(fleet)).length >= pills.length &&
    (await fleet.queue.getFailedCount()) >= pills.length &&
    (await fleet.queue.getCompletedCount()) === innocents;
  await until("the pills are buried and all others have ended", done, 180_000);
  expect((await quarantine(fleet)).toSorted()).toEqual(pills.toSorted());
  expect(await fleet.queue.getFailedCount()).toBe(pills.length);
}

for (const innocents of [1, 10, 50]) {
  test.concurrent(
    `a pill among ${innocents} others in one process is buried, and they all end; one call lets it run again`,
    LONG,
    async ({ onTestFinished }) => {
      const fleet = await openFleet(undefined, { cleanup: onTestFinished });
      await fleet.spawn({ worker: null, assurance });
      const others = await addInnocents(fleet, innocents);
      const pill = await addPill(fleet, "pill");
      const { shifts } = supervise(fleet, onTestFinished, { worker: { concurrency: innocents + 1 } });
      await theGuiltyAreBuried(fleet, [pill], innocents);
      expect(fleet.starts(pill)).toHaveLength(BUDGET + 1);
      expect(shifts).toHaveLength(BUDGET + 2);
      for (const id of others) expect((await fleet.accepted()).get(id), id).toBe(1);

      const observer = await fleet.observe();
      await (await fleet.queue.getJob(pill))?.updateData({ task: "work", ms: 10 });
      await observer.release({ queue: fleet.key, id: pill, actor: "a test", reason: "mended" });
      await fleet.completed(innocents + 1);
      expect(await quarantine(fleet)).toEqual([]);
    },
  );
}

test.concurrent("two pills among ten others: both are buried, and nobody else", LONG, async ({ onTestFinished }) => {
  const fleet = await openFleet(undefined, { cleanup: onTestFinished });
  await fleet.spawn({ worker: null, assurance });
  await addInnocents(fleet, 10);
  const pills = [await addPill(fleet, "pill-1"), await addPill(fleet, "pill-2")];
  supervise(fleet, onTestFinished, { worker: { concurrency: 12 } });
  await theGuiltyAreBuried(fleet, pills, 10);
});

test.concurrent(
  "the budget survives a restart of Redis, and of every process: the pill is buried at the same death",
  LONG,
  async ({ onTestFinished }) => {
    const redis = await startRedis({ own: true, args: ["--appendonly", "yes", "--appendfsync", "always"] });
    const fleet = await openFleet(undefined, { cleanup: onTestFinished, redis });
    const pill = await addPill(fleet, "pill");
    for (let death = 1; death <= BUDGET + 1; death++) {
      const recoverer = await fleet.spawn({ worker: null, assurance });
      const victim = fleet.launch({ assurance });
      await until(`death ${death}`, () => victim.isGone, 60_000);
      await recoverer.heard("instance.dead");
      await recoverer.kill();
      await fleet.redis.restart();
      await until("this process is connected again", () => fleet.store.ledger.counts().catch(() => undefined));
    }
    const witness = await fleet.spawn({ worker: null, assurance });
    await until("it is buried", async () => (await quarantine(fleet)).includes(pill));
    expect(witness.isGone).toBe(false);
    expect(fleet.starts(pill)).toHaveLength(BUDGET + 1);
  },
);

test.concurrent(
  "a pill in one queue and an innocent job in another one of the same process: only the pill is buried",
  LONG,
  async ({ onTestFinished }) => {
    const fleet = await openFleet(undefined, { cleanup: onTestFinished });
    const further = [`${fleet.queue.name}-other`];
    const elsewhere = Object.create(fleet, {
      queue: { value: openQueue(fleet, further[0]!, onTestFinished) },
    }) as Fleet;
    await fleet.spawn({ worker: null, further, assurance });
    const pill = await addPill(fleet, "pill");
    const [innocent] = await addInnocents(elsewhere, 1);
    supervise(fleet, onTestFinished, { further });
    await until("the pill is buried", async () => (await quarantine(fleet)).includes(pill), 120_000);
    await until(
      "the innocent one has ended",
      async () => (await quarantine(fleet)).includes(innocent!) || (await elsewhere.queue.getCompletedCount()) === 1,
      120_000,
    );
    expect(await quarantine(fleet)).toEqual([pill]);
  },
);
