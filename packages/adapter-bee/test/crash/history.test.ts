/* P14 on Bee-Queue: what happened can be read afterwards, with who, what, when and the evidence. */
import { until } from "@assured-jobs/core/testing";
import { STEADY as LEASES } from "@assured-jobs/dev-crew/crew";
import { expect, test } from "vitest";
import { openFleet } from "./fleet.ts";

const LONG = { timeout: 90_000 } as const;
/** Deaths are known by their absence; no lease runs out on a busy machine. */
const STEADY = { ...LEASES, presenceGrace: 200 } as const;

test("a death and what was recovered after it", LONG, async () => {
  const fleet = await openFleet();
  const holder = await fleet.spawn({ name: "pod-1", concurrency: 2, assurance: STEADY });
  const before = Date.now();
  const ids = [await fleet.add(), await fleet.add()];
  for (const id of ids) await fleet.started(id, 1);
  const other = await fleet.spawn({ concurrency: 2, assurance: STEADY });
  await holder.kill();
  for (const id of ids) await fleet.started(id, 2);
  for (const id of ids) expect(await fleet.recoveries(id)).toBe(1);
  const { snapshot } = await fleet.observe();
  const [death, ...more] = (await snapshot.history("deaths")).items;
  expect(more).toEqual([]);
  expect(death).toMatchObject({ type: "instance.dead", who: holder.incarnation, detail: "absent" });
  expect(death?.evidence).toMatch(/^connection gone for \d+ ms/);
  for (const id of ids) {
    const { items } = await snapshot.history("recoveries", { queue: fleet.scene.key, job: id });
    expect(items).toMatchObject([
      { type: "orphan.recovered", who: other.incarnation, evidence: `held by ${holder.incarnation}` },
    ]);
    expect(items[0]?.run).toBe(fleet.starts(id)[0]?.run);
    expect(death?.at).toBeGreaterThan(before);
    expect(items[0]?.at).toBeGreaterThanOrEqual(death?.at ?? Infinity);
  }
});

test("a burial, and what a person did about it and about others", LONG, async () => {
  const fleet = await openFleet();
  const assurance = { ...STEADY, maxRecoveries: 1 };
  const keeper = await fleet.spawn({ concurrency: 0, assurance });
  const pill = await fleet.add({ task: "poison", ms: 50 });
  while (fleet.told("orphan.buried").length === 0) {
    const victim = fleet.launch({ assurance });
    await until("it dies, or the pill is buried", () => victim.isGone || fleet.told("orphan.buried").length > 0);
    await victim.kill();
  }
  const observer = await fleet.observe();
  const { snapshot } = observer;
  const [burial] = (await snapshot.history("recoveries", { job: pill, type: "orphan.buried" })).items;
  expect(burial).toMatchObject({ who: keeper.incarnation, queue: fleet.scene.key });
  expect(burial?.evidence).toMatch(/^held by /);
  expect((await snapshot.quarantine()).items).toMatchObject([{ id: pill, deaths: 2 }]);

  const failed = await fleet.add({ task: "fail", ms: 10 });
  const worker = await fleet.spawn({ assurance: STEADY });
  await until("it has failed", () => fleet.ends(failed, "failed").length === 1);
  await worker.kill();
  const by = { queue: fleet.scene.key, actor: "ada", reason: "looked at it" };
  await observer.release({ ...by, id: pill });
  await observer.retry({ ...by, id: failed });
  await observer.discard({ ...by, id: failed });
  const actions = (await snapshot.history("actions")).items.toReversed();
  expect(actions.map(({ type, job }) => [type, job])).toEqual([
    ["action.release", pill],
    ["action.retry", failed],
    ["action.discard", failed],
  ]);
  for (const action of actions) expect(action).toMatchObject({ who: "ada", queue: fleet.scene.key });
  expect(JSON.stringify(actions)).toContain("looked at it");
  expect((await snapshot.quarantine()).items).toEqual([]);
});
