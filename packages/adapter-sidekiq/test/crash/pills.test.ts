/* P11: a poison pill stops, and nobody who only shared its process is buried with it. Really killed, by the job itself. */
import { until } from "@assured-jobs/core/testing";
import { expect, test } from "vitest";
import { NOTHING, openFleet } from "./fleet.ts";
import type { Fleet } from "./fleet.ts";

const LONG = 120_000;

const inDeadSet = async ({ scene }: Fleet): Promise<Record<string, unknown>[]> =>
  (await scene.redis.zrange(scene.keys.dead, "0", "-1")).map((text) => JSON.parse(text) as Record<string, unknown>);

const quarantine = async ({ store }: Fleet): Promise<string[]> =>
  (await store.ledger.quarantined({ limit: 100 })).items.map(({ id }) => id);

test(
  "at its fourth death a pill is buried where Ruby sees it, its neighbours live, and one call releases it",
  { timeout: LONG },
  async () => {
    const fleet = await openFleet();
    const pill = await fleet.add({ task: "poison", ms: 300 });
    const keeper = await fleet.spawn({ concurrency: 0 });
    const innocents: string[] = [];
    for (let death = 0; fleet.told("orphan.buried").length === 0; death++) {
      const victim = await fleet.spawn({ concurrency: 3 });
      innocents.push(await fleet.add({ ms: 800 }));
      await until(
        "it dies, or the pill is buried",
        () => victim.isGone || fleet.told("orphan.buried").length > 0,
        40_000,
      );
      expect(death).toBeLessThan(10);
    }
    expect(fleet.starts(pill)).toHaveLength(4);
    await until("it is in the dead set", async () => (await inDeadSet(fleet)).length > 0);
    const [buried, ...others] = await inDeadSet(fleet);
    expect(others).toEqual([]);
    expect(buried).toMatchObject({ jid: pill, class: "Job", error_class: "AssuredJobs::PoisonPill", retry: true });
    expect(buried?.["error_message"]).toContain("its process died 4 times");
    expect(buried?.["failed_at"]).toBeGreaterThan(1.7e9);
    expect(buried).not.toHaveProperty("retry_count");
    expect(await quarantine(fleet)).toEqual([pill]);

    await fleet.spawn({ concurrency: 3 });
    await fleet.ended(innocents);
    expect(await inDeadSet(fleet)).toHaveLength(1);
    const { redis, keys } = fleet.scene;
    await redis.eval(MEND, 1, keys.dead);
    await keeper.ask("release", { queue: fleet.scene.key, id: pill, actor: "ada", reason: "fixed" });
    await fleet.ended([pill]);
    expect([await quarantine(fleet), await fleet.leftovers()]).toEqual([[], NOTHING]);
  },
);

/* The job that killed its processes now ends well. */
const MEND = `local text, score = unpack(redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES'))
  redis.call('ZREM', KEYS[1], text)
  redis.call('ZADD', KEYS[1], score, (string.gsub(text, '"poison"', '"work"')))`;

test("a pill among others in one process is buried, and they all end", { timeout: LONG }, async () => {
  const fleet = await openFleet();
  // Nobody lapses because the machine is busy: a death that is none would be charged to the innocent.
  const assurance = { heartbeatInterval: 1_000, heartbeatTtl: 15_000, presenceGrace: 500 };
  await fleet.spawn({ concurrency: 0, assurance });
  const innocents = await fleet.addMany(10, { ms: 1_000 });
  const pill = await fleet.add({ task: "poison", ms: 300 });
  let over = false;
  fleet.cleanup(() => void (over = true));
  const relieve = (): void => {
    if (!over) fleet.launch({ concurrency: 11, assurance }).child.once("exit", relieve);
  };
  relieve();
  await until("the pill is buried", async () => (await inDeadSet(fleet)).length > 0, 100_000);
  await fleet.ended(innocents);
  expect((await inDeadSet(fleet)).map(({ jid }) => jid)).toEqual([pill]);
  expect(await quarantine(fleet)).toEqual([pill]);
  expect(innocents.filter((id) => fleet.accepted(id).length !== 1)).toEqual([]);
});
