/* P7: a server that answers, and takes nothing: out of memory, read-only, cut off from its replicas or its primary.
 * It lasts longer than every lease and lock; a job that ends meanwhile has ended, once the server takes it. */
import type { Redis } from "ioredis";
import { expect, test } from "vitest";
import { until } from "@assured-jobs/core/testing";
import { OUTAGE, PATIENT, atWork, during, openScene } from "./crew.ts";

interface Refusal {
  readonly what: string;
  /** What the server answers meanwhile. */
  readonly answer: string;
  readonly args?: readonly string[];
  readonly asked?: (admin: Redis) => Promise<unknown>;
  begin(admin: Redis): Promise<unknown>;
  end(admin: Redis): Promise<unknown>;
}

const NOWHERE = ["127.0.0.1", 1] as const;

const REFUSALS: readonly Refusal[] = [
  {
    what: "out of memory",
    answer: "OOM",
    begin: (admin) => admin.config("SET", "maxmemory", "1"),
    end: (admin) => admin.config("SET", "maxmemory", "0"),
  },
  {
    what: "without the replicas that it must have",
    answer: "NOREPLICAS",
    begin: (admin) => admin.config("SET", "min-replicas-to-write", "1"),
    end: (admin) => admin.config("SET", "min-replicas-to-write", "0"),
  },
  {
    what: "a read-only replica of nobody",
    answer: "READONLY",
    begin: (admin) => admin.replicaof(...NOWHERE),
    end: (admin) => admin.replicaof("NO", "ONE"),
  },
  {
    what: "a replica, and may not answer without its primary",
    answer: "MASTERDOWN",
    asked: (admin) => admin.get("x"),
    begin: async (admin) => {
      await admin.config("SET", "replica-serve-stale-data", "no");
      await admin.replicaof(...NOWHERE);
    },
    end: (admin) => admin.replicaof("NO", "ONE"),
  },
  {
    what: "without a disk that it can write to",
    answer: "MISCONF",
    args: ["--enable-protected-configs", "yes"],
    begin: async (admin) => {
      await admin.config("SET", "dir", "/proc");
      await admin.config("SET", "save", "3600 1000000");
      await admin.bgsave().catch(() => {});
      await until("the disk is missed", async () =>
        (await admin.info("persistence")).includes("rdb_last_bgsave_status:err"),
      );
    },
    end: (admin) => admin.config("SET", "stop-writes-on-bgsave-error", "no"),
  },
];

test.concurrent.for(REFUSALS)("a server that is $what", PATIENT, async (refusal, { onTestFinished }) => {
  const { fleet, admin } = await openScene(onTestFinished, refusal.args);
  const crew = await atWork(fleet, OUTAGE + 2_000);
  await refusal.begin(admin);
  const { asked = (one: Redis) => one.set("x", "y") } = refusal;
  await expect(asked(admin)).rejects.toThrow(refusal.answer);
  await during();
  await refusal.end(admin);
  await crew.isBack();
  await crew.endedOnce();
  await crew.allLive();
  await crew.isStillMortal();
});
