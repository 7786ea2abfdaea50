/* P7: a store that answers nobody for longer than every lease and lock kills nobody, doubles nothing, and leaves
 * everybody mortal. The server stays the same one (its run_id too), so nothing tells that there was an outage. */
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { until } from "@assured-jobs/core/testing";
import { OUTAGE, PATIENT, atWork, during, observes, openScene } from "./crew.ts";

const ROUNDS = 5;
/** Time in which the server serves, before it stands still again. */
const BETWEEN = 1_000;

test.concurrent("Redis stopped by SIGSTOP, five times over", PATIENT, async ({ onTestFinished }) => {
  const { fleet } = await openScene(onTestFinished);
  const crew = await atWork(fleet, ROUNDS * (OUTAGE + 2 * BETWEEN));
  for (let round = 1; round <= ROUNDS; round++) {
    await fleet.redis.pause();
    await during();
    await fleet.redis.resume();
    await crew.isBack();
    await crew.allLive();
    await observes(fleet, BETWEEN);
  }
  await crew.endedOnce();
  await crew.isStillMortal();
});

test.concurrent("DEBUG SLEEP", PATIENT, async ({ onTestFinished }) => {
  const { fleet, admin } = await openScene(onTestFinished, ["--enable-debug-command", "yes"]);
  const crew = await atWork(fleet, OUTAGE + 2_000);
  await admin.call("DEBUG", "SLEEP", String(OUTAGE / 1_000));
  await crew.isBack();
  await crew.endedOnce();
  await crew.allLive();
  await crew.isStillMortal();
});

for (const what of ["ALL", "WRITE"] as const) {
  test.concurrent(`CLIENT PAUSE ${what}`, PATIENT, async ({ onTestFinished }) => {
    const { fleet, admin } = await openScene(onTestFinished);
    const crew = await atWork(fleet, OUTAGE + 2_000);
    await admin.call("CLIENT", "PAUSE", String(OUTAGE), what);
    await during();
    await crew.isBack();
    await crew.endedOnce();
    await crew.allLive();
    await crew.isStillMortal();
  });
}

test.concurrent("a script that runs for longer than every lease, until somebody kills it", PATIENT, async (context) => {
  const { fleet, admin } = await openScene(context.onTestFinished, ["--busy-reply-threshold", "100"]);
  const crew = await atWork(fleet, OUTAGE + 2_000);
  const stuck = new Redis(fleet.redis.port);
  const script = stuck.eval("while true do end", 0).catch((error: Error) => error.message);
  await during();
  await admin.call("SCRIPT", "KILL");
  expect(await script).toContain("killed by user");
  stuck.disconnect();
  await crew.isBack();
  await crew.endedOnce();
  await crew.allLive();
  await crew.isStillMortal();
});

test.concurrent("scripts forgotten again and again in mid-work", PATIENT, async ({ onTestFinished }) => {
  const { fleet, admin } = await openScene(onTestFinished);
  const crew = await atWork(fleet, OUTAGE);
  const jobs = 200;
  await fleet.queue.addBulk(Array.from({ length: jobs }, () => ({ name: "job", data: { ms: 5 } })));
  await until(
    "all have ended",
    async () => {
      await admin.call("SCRIPT", "FLUSH");
      return (await fleet.queue.getCompletedCount()) === jobs + crew.ids.length;
    },
    60_000,
  );
  await crew.endedOnce();
  expect([...(await fleet.accepted()).values()].filter((times) => times !== 1)).toEqual([]);
  await crew.allLive();
  await crew.isStillMortal();
});
