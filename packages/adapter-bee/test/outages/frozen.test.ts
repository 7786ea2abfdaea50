/* P7 on Bee-Queue: a store that answers nobody for longer than every lease kills nobody, doubles nothing, and leaves
 * everybody mortal. The server stays the same one (its run_id too), so nothing tells that there was an outage. */
import { OUTAGE, PATIENT, during, observes } from "@assured-jobs/dev-crew/crew";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { atWork, openScene } from "./crew.ts";

const ROUNDS = 3;
/** Time in which the server serves, before it stands still again. */
const BETWEEN = 1_000;

test.concurrent("Redis stopped by SIGSTOP, three times over", PATIENT, async ({ onTestFinished }) => {
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

test.concurrent(
  "a script that runs for longer than every lease, until somebody kills it: meanwhile every command is refused",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet, admin } = await openScene(onTestFinished, ["--busy-reply-threshold", "100"]);
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
  },
);
