/* P7 and P13 at the edges of a process's life: it starts, or leaves, while the store answers nothing, or takes nothing. */
import { expect, test } from "vitest";
import { until } from "@assured-jobs/core/testing";
import { PATIENT, STEADY, during, openScene } from "./crew.ts";

/** What stop() may take beyond its timeout, ms: each of its steps gives up by itself, 7.5 s in all, also with a fetch on its way. */
const LITTLE = 9_000;
const started = (type: string): boolean => type === "ready";

test.concurrent(
  "started while the store takes no writes: it goes on and works, says so, and is assured once the store takes them",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet, admin } = await openScene(onTestFinished);
    await admin.config("SET", "min-replicas-to-write", "1");
    const early = await fleet.spawn(STEADY);
    await early.heard("store.down");
    await during(1_000);
    await admin.config("SET", "min-replicas-to-write", "0");
    const id = await fleet.add();
    await fleet.started(id, 1);
    await until("it is known", async () => (await fleet.store.ledger.counts()).instances === 1);
    await early.heard("store.up");
    await fleet.spawn(STEADY);
    await early.kill();
    await fleet.started(id, 2);
  },
);

test.concurrent(
  "started while Redis is a replica of nobody: the same, and `required` rejects",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet, admin } = await openScene(onTestFinished);
    await admin.replicaof("127.0.0.1", 1);
    const strict = fleet.launch({ ...STEADY, required: true });
    expect((await strict.heard("refused")).code).toBe("ERR_STORE_UNREACHABLE");
    const early = await fleet.spawn(STEADY);
    await early.heard("store.down");
    await admin.replicaof("NO", "ONE");
    await early.heard("store.up");
    await until("it is known", async () => (await fleet.store.ledger.counts()).instances === 1);
    expect(strict.told.filter(({ type }) => started(type))).toEqual([]);
  },
);

for (const running of [0, 1]) {
  test.concurrent(
    `stopped while Redis answers nobody, with ${running} jobs running: it takes its timeout, and little more`,
    PATIENT,
    async ({ onTestFinished }) => {
      const { fleet } = await openScene(onTestFinished);
      const leaving = await fleet.spawn(STEADY);
      const ids = await Promise.all(Array.from({ length: running }, () => fleet.add()));
      for (const id of ids) await fleet.started(id, 1);
      await fleet.redis.pause();
      const before = performance.now();
      const timeout = 1_000;
      await leaving.ask("stop", { timeout });
      expect(performance.now() - before).toBeLessThan(timeout + LITTLE);
      leaving.child.send({ call: "exit" });
      await until("it has gone", () => leaving.isGone);
      await fleet.redis.resume();
      await fleet.spawn(STEADY);
      for (const id of ids) await fleet.started(id, 2);
    },
  );
}
