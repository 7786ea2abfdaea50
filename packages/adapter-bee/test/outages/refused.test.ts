/* P7 on Bee-Queue: a server that answers, and takes nothing, for longer than every lease. A job that ends meanwhile has
 * ended, once the server takes it. */
import { OUTAGE, PATIENT, during } from "@assured-jobs/dev-crew/crew";
import type { Redis } from "ioredis";
import { expect, test } from "vitest";
import { atWork, openScene } from "./crew.ts";

interface Refusal {
  readonly what: string;
  /** What the server answers meanwhile. */
  readonly answer: string;
  begin(admin: Redis): Promise<unknown>;
  end(admin: Redis): Promise<unknown>;
}

const REFUSALS: readonly Refusal[] = [
  {
    what: "out of memory",
    answer: "OOM",
    begin: (admin) => admin.config("SET", "maxmemory", "1"),
    end: (admin) => admin.config("SET", "maxmemory", "0"),
  },
  {
    what: "a read-only replica of nobody",
    answer: "READONLY",
    begin: (admin) => admin.replicaof("127.0.0.1", 1),
    end: (admin) => admin.replicaof("NO", "ONE"),
  },
];

test.concurrent.for(REFUSALS)("a server that is $what", PATIENT, async (refusal, { onTestFinished }) => {
  const { fleet, admin } = await openScene(onTestFinished);
  const crew = await atWork(fleet, OUTAGE + 2_000);
  await refusal.begin(admin);
  await expect(admin.set("x", "y")).rejects.toThrow(refusal.answer);
  await during();
  await refusal.end(admin);
  await crew.isBack();
  await crew.endedOnce();
  await crew.allLive();
  await crew.isStillMortal();
});
