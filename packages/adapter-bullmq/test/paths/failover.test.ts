/* A failover that loses what Redis had acknowledged, under BullMQ workers and a store that both go through Sentinel.
 *
 * What can be promised then. Who lives is declared dead by nobody. A job that survived ends, and its end is accepted
 * once in the history that survived; if its end is among what was lost, it runs again, and a fencing token may repeat.
 * A job that Redis lost is gone, and whoever runs it is told that its end was refused. A death that was lost is found
 * again by the lease.
 *
 * The replica stands still behind more bytes than sockets hold, so all that is written from then on is lost for certain:
 * without that, the kernel would hand it over even from a killed primary.
 */
import { startFailover } from "../../../core/test/support/sentinel.ts";
import type { Failover } from "../../../core/test/support/sentinel.ts";
import { createAssurance, redisStore } from "@assured-jobs/core";
import type { Assurance, AuditReport } from "@assured-jobs/core";
import { bullmqAdapter } from "@assured-jobs/adapter-bullmq";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { Fleet } from "../crash/fleet.ts";
import type { Member } from "../crash/fleet.ts";
import { until } from "@assured-jobs/core/testing";
import { LOCK, STEADY } from "./scene.ts";

const MORE_THAN_SOCKETS_HOLD = 48 * 1024 * 1024;
/** A run without a lock counts as abandoned after a lock, or a minute when its holder is known to live: see upkeep. */
const ABANDONED = 90_000;

test(
  "acknowledged writes are lost in a failover: who lives lives on, what survived ends once, what was lost is told",
  { timeout: 300_000 },
  async () => {
    const { fleet, failover, queue } = await openBehindSentinel();
    const worker = { ...LOCK, concurrency: 10 };
    const spawn = (): Promise<Member> => fleet.spawn({ server: failover.connection, assurance: STEADY, worker });
    const [a, b, mortal] = [await spawn(), await spawn(), await spawn()];
    const finished = await many(3, () => fleet.add({ ms: 10 }));
    await fleet.completed(3);
    const running = await many(4, () => fleet.add({ task: "asked" }));
    const forgotten = await many(4, () => fleet.add({ task: "asked" }));
    for (const id of [...running, ...forgotten]) await fleet.started(id, 1);
    await standStill(failover);

    await end(fleet, forgotten);
    await until("their ends are acknowledged", () => forgotten.every((id) => completedBy(fleet, id) === 1));
    await mortal.kill();
    const heldByTheDead = (id: string): boolean => fleet.starts(id)[0]!.process === mortal;
    const orphans = running.filter(heldByTheDead);
    for (const id of orphans) await fleet.started(id, 2);
    const lost = await many(3, () => fleet.add({ task: "asked" }));
    for (const id of lost) await fleet.started(id, 1);
    await failOver(failover);

    await until("all are back", async () => (await isPresent(fleet)).length >= 2, 60_000);
    const gone = await Promise.all(lost.map((id) => queue.getJob(id)));
    expect(gone, "what came after the replica stood still is lost").toEqual(lost.map(() => undefined));
    await end(fleet, [...running, ...lost]);
    for (const id of lost) await until(`the end of ${id} is refused`, () => isRefused(fleet, id));

    const observer = await observe(failover, queue);
    const abandoned = forgotten.filter((id) => !heldByTheDead(id));
    const first = await until("the audit names what does not add up", () => named(observer, abandoned), 60_000);
    expect(first.findings.map(({ kind }) => kind)).toContain("bullmq.unlocked");
    await until(
      "what survived has ended",
      async () => (await statesOf(queue, [...finished, ...running, ...forgotten])).every((one) => one === "completed"),
      ABANDONED,
    );
    const accepted = await fleet.accepted();
    for (const id of [...finished, ...running, ...forgotten]) expect(accepted.get(id), `job ${id}`).toBe(1);
    for (const id of finished) expect(fleet.starts(id)).toHaveLength(1);
    for (const id of running) if (!orphans.includes(id)) expect(fleet.starts(id)).toHaveLength(1);
    for (const id of forgotten) expect(fleet.starts(id).length, `job ${id} runs again`).toBe(2);
    for (const id of lost) expect(completedBy(fleet, id)).toBe(0);
    await until("the lost death is found again", async () => (await deaths(fleet)).length > 0, 60_000);
    expect(await deaths(fleet)).toEqual([`${mortal.incarnation}: no beat`]);
    expect([a, b].flatMap((member) => member.all("instance.fenced"))).toHaveLength(0);
    expect(fleet.told("beside-itself")).toHaveLength(0);
    expect((await observer.audit()).findings).toEqual([]);
  },
);

async function openBehindSentinel(): Promise<{ fleet: Fleet; failover: Failover; queue: Queue }> {
  const failover = await startFailover();
  onTestFinished(() => failover.stop());
  const queue = new Queue("behind-sentinel", {
    connection: { ...failover.connection, maxRetriesPerRequest: null },
    streams: { events: { maxLen: 1_000_000 } },
  });
  queue.on("error", () => {});
  onTestFinished(() => queue.close());
  const store = redisStore({ connection: failover.connection });
  await store.open();
  onTestFinished(() => store.close());
  return { fleet: new Fleet(failover.replica, queue, store), failover, queue };
}

/* What was written before is on the replica too; nothing that is written from now on. */
async function standStill({ primary, replica }: Failover): Promise<void> {
  const admin = new Redis(primary.port);
  await admin.set("written", "last");
  expect(await admin.wait(1, 10_000)).toBe(1);
  await replica.pause();
  await admin.set("in-the-way", Buffer.alloc(MORE_THAN_SOCKETS_HOLD));
  admin.disconnect();
}

async function failOver({ primary, replica }: Failover): Promise<void> {
  await primary.kill();
  await replica.resume();
  const promoted = new Redis(replica.port, { retryStrategy: () => 50, maxRetriesPerRequest: null });
  promoted.on("error", () => {});
  await until("it is promoted", async () => (await promoted.info("replication")).includes("role:master"), 60_000);
  expect(await promoted.exists("in-the-way")).toBe(0);
  promoted.disconnect();
}

async function many(count: number, make: () => Promise<string>): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await make());
  return ids;
}

/* Wherever they run. */
async function end(fleet: Fleet, ids: readonly string[]): Promise<void> {
  const living = new Set(ids.flatMap((id) => fleet.starts(id).map(({ process }) => process)));
  for (const member of living) if (!member.isGone) await member.ask("end", ...ids);
}

const completedBy = (fleet: Fleet, id: string): number =>
  fleet.told("completed").filter((told) => told.id === id).length;

const isRefused = (fleet: Fleet, id: string): boolean =>
  fleet.told("run.fenced").some(({ payload }) => (payload as unknown as { id: string }).id === id);

const statesOf = (queue: Queue, ids: readonly string[]): Promise<(string | undefined)[]> =>
  Promise.all(ids.map(async (id) => (await queue.getJob(id))?.getState()));

async function isPresent({ store }: Fleet): Promise<unknown[]> {
  const { items } = await store.roster.instances({ limit: 100 }).catch(() => ({ items: [] }));
  return items.filter(({ state }) => state === "alive");
}

/* By the lease: what the former primary saw of its presence proves nothing on the new one. */
async function deaths({ store }: Fleet): Promise<string[]> {
  const { items } = await store.ledger.history("deaths", { limit: 100 });
  return items.map(({ who, evidence = "" }) => `${who}: ${evidence.split(" for ")[0]}`);
}

async function observe(failover: Failover, queue: Queue): Promise<Assurance> {
  const assurance = createAssurance({
    role: "observer",
    store: redisStore({ connection: failover.connection }),
    adapters: [bullmqAdapter({ queues: [queue] })],
  });
  await assurance.start({ required: true });
  onTestFinished(async () => void (await assurance.stop()));
  return assurance;
}

/** The report, once it names all of these jobs. */
async function named(observer: Assurance, ids: readonly string[]): Promise<AuditReport | undefined> {
  const report = await observer.audit();
  return ids.every((id) => report.findings.some(({ job }) => job === id)) ? report : undefined;
}
