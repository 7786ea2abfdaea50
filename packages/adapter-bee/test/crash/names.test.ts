/* P9 on Bee-Queue: processes that bear the same name, one after the other and at once. */
import { until } from "@assured-jobs/core/testing";
import { observes } from "@assured-jobs/dev-crew/crew";
import { expect, test } from "vitest";
import { openFleet } from "./fleet.ts";

const LONG = { timeout: 90_000 } as const;

test("a restart under the same name gives the old jobs back without waiting for the grace", LONG, async () => {
  const fleet = await openFleet();
  const patient = { presenceGrace: 20_000, heartbeatInterval: 10_000, heartbeatTtl: 60_000 };
  const pod = { name: "pod-0", concurrency: 2, assurance: patient };
  const holder = await fleet.spawn(pod);
  const ids = [await fleet.add(), await fleet.add()];
  for (const id of ids) await fleet.started(id, 1);
  await holder.kill();
  const killed = performance.now();
  const next = await fleet.spawn(pod);
  for (const id of ids) expect((await fleet.started(id, 2)).process).toBe(next);
  expect(performance.now() - killed).toBeLessThan(patient.presenceGrace);
  expect(await fleet.store.roster.dead()).toMatchObject([
    { cause: "replaced", registration: { incarnation: holder.incarnation } },
  ]);
  for (const id of ids) expect(await fleet.recoveries(id)).toBe(1);
});

test("a living sibling of the same name keeps its job, and somebody is warned", LONG, async () => {
  const fleet = await openFleet();
  const twin = { name: "twin", assurance: { heartbeatInterval: 500, heartbeatTtl: 5_000 } };
  const first = await fleet.spawn(twin);
  const id = await fleet.add();
  await fleet.started(id, 1);
  const second = await fleet.spawn(twin);
  await until("it is told of the other", () =>
    JSON.stringify(second.all("warning").map(({ payload }) => payload)).includes("twin"),
  );
  await observes(fleet, 6_000); // thirty graces, more than a lease
  expect(fleet.told("instance.dead")).toEqual([]);
  expect(fleet.starts(id)).toHaveLength(1);
  const next = await fleet.add({ ms: 10 });
  expect((await fleet.started(next, 1)).process).toBe(second);
  await first.kill();
  expect((await fleet.started(id, 2)).process).toBe(second);
});
