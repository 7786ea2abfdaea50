/* P7: what the store allows changes while jobs run: channels, commands, the password, the user itself. BullMQ has a
 * user of its own, so jobs go on; only the store is refused. */
import type { Redis } from "ioredis";
import { expect, test } from "vitest";
import { until } from "@assured-jobs/core/testing";
import { OUTAGE, PATIENT, STEADY, atWork, during, openScene } from "./crew.ts";

const USER = "fleet";
/** What the user may do at the start. */
const FULL = ["on", ">secret", "resetkeys", "resetchannels", "~{assured_jobs}:*", "&{assured_jobs}:*", "+@all"];

interface Change {
  readonly what: string;
  begin(admin: Redis): Promise<unknown>;
}

const setUser = (admin: Redis, ...rules: string[]): Promise<unknown> => admin.call("ACL", "SETUSER", USER, ...rules);

/** Those that are connected keep what they have until then. */
async function disconnect(admin: Redis): Promise<void> {
  await admin.call("CLIENT", "KILL", "USER", USER).catch(() => {});
}

const CHANGES: readonly Change[] = [
  { what: "its channels are taken away", begin: (admin) => setUser(admin, "resetchannels") },
  { what: "dangerous commands are taken away", begin: (admin) => setUser(admin, "-@dangerous") },
  { what: "everything is taken away", begin: (admin) => setUser(admin, "-@all") },
  {
    what: "its password is changed",
    begin: async (admin) => {
      await setUser(admin, "resetpass", ">another");
      await disconnect(admin);
    },
  },
  { what: "it is deleted", begin: (admin) => admin.call("ACL", "DELUSER", USER) },
];

test.concurrent.for(CHANGES)(
  "the user of the store: $what, for longer than every lease, and given back: nobody dies but who is killed",
  PATIENT,
  async (change, { onTestFinished }) => {
    const { fleet, admin } = await openScene(onTestFinished);
    await setUser(admin, ...FULL);
    const storeUrl = fleet.redis.url.replace("//", `//${USER}:secret@`);
    const crew = await atWork(fleet, OUTAGE + 2_000, { ...STEADY, storeUrl });
    await change.begin(admin);
    await during();
    await setUser(admin, "reset", ...FULL);
    await crew.isBack();
    await crew.endedOnce();
    await crew.allLive();
    await crew.isStillMortal();
  },
);

test.concurrent(
  "one process alone is refused for longer than its lease: given up, its job runs again once, and it is born again",
  PATIENT,
  async ({ onTestFinished }) => {
    const { fleet, admin } = await openScene(onTestFinished);
    await setUser(admin, ...FULL);
    const storeUrl = fleet.redis.url.replace("//", `//${USER}:secret@`);
    const refused = await fleet.spawn({ ...STEADY, storeUrl });
    const id = await fleet.add({ task: "stubborn", ms: 2 * OUTAGE });
    await fleet.started(id, 1);
    const other = await fleet.spawn(STEADY);
    await admin.call("ACL", "DELUSER", USER);
    expect((await fleet.started(id, 2)).process).toBe(other);
    await setUser(admin, ...FULL);
    expect((await refused.heard("aborted", id)).code).toBe("ERR_FENCED");
    await until("it is born again", () => refused.all("instance.reborn").length === 1, 30_000);
    await fleet.completed(1);
    expect(refused.all("completed", id)).toEqual([]);
    expect((await fleet.accepted()).get(id)).toBe(1);
    expect(fleet.told("instance.dead").map(({ process }) => process)).toEqual([other]);
  },
);
