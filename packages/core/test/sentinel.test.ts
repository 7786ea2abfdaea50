/* The store behind a real Sentinel: a failover is nobody's death, and the dead stay mortal. */
import { redisStore } from "@assured-jobs/core";
import type { Look, Registration, Store } from "@assured-jobs/core";
import { Redis } from "ioredis";
import { afterAll, expect, test } from "vitest";
import { eventually } from "./support/eventually.ts";
import { installBeside } from "./support/peer.ts";
import { PulseProcess } from "./support/pulse-process.ts";
import type { UserClient } from "./support/pulse-process.ts";
import { startFailover } from "./support/sentinel.ts";
import type { Failover } from "./support/sentinel.ts";

const INTERVAL = 250;
const beside5 = await installBeside("ioredis5");
afterAll(() => beside5.remove());

let names = 0;

function registrationOf(change: Partial<Registration> = {}): Registration {
  const name = `worker-${++names}`;
  const incarnation = `${name}.0123456789abcdef`;
  const lease = { ttl: 4_000, interval: 500, grace: 1_000 };
  const about = { host: "host", pid: 1, startedAt: 1, protocol: 1, pulse: "thread", holders: {} } as const;
  return { incarnation, name, ...about, ...lease, ...change };
}

/** Who looks, and declares whomever it may, as any process would. */
class Watch {
  readonly store: Store;
  readonly deaths: { incarnation: string; cause: string }[] = [];
  readonly #self = registrationOf({ ttl: 600_000 });

  constructor(failover: Failover) {
    this.store = redisStore({ connection: failover.connection });
  }

  async open(): Promise<void> {
    await this.store.open();
    await this.store.roster.register(this.#self);
    await this.look();
  }

  /** Undefined while there is no primary. */
  async look(): Promise<Look | undefined> {
    const { roster } = this.store;
    try {
      const look = await roster.look({
        by: this.#self.incarnation,
        duties: ["watch"],
        dutyTtl: 600_000,
        interval: INTERVAL,
      });
      for (const suspect of look.suspects) {
        const death = await roster.declare(suspect);
        if (death) this.deaths.push({ incarnation: death.registration.incarnation, cause: death.cause });
      }
      return look;
    } catch {
      return undefined;
    }
  }

  async until(what: string, condition: (look: Look) => boolean | Promise<boolean>): Promise<void> {
    await eventually(what, async () => {
      const look = await this.look();
      return look !== undefined && condition(look);
    });
  }
}

const PEERS: { peer: string; library: UserClient["library"]; core?: string }[] = [
  { peer: "ioredis 6", library: "ioredis" },
  { peer: "ioredis 5", library: "ioredis5", core: beside5.core },
];

test.concurrent.for(PEERS)(
  "a failover kills nobody who lives and hides nobody who died, on $peer",
  async ({ library, ...core }, { onTestFinished }) => {
    const failover = await startFailover();
    onTestFinished(() => failover.stop());
    const watch = new Watch(failover);
    onTestFinished(() => watch.store.close());
    await watch.open();

    const start = async (...registrations: Registration[]): Promise<PulseProcess> => {
      const client: UserClient = { library, kind: "Redis", args: [{ ...failover.connection, lazyConnect: true }] };
      const process = new PulseProcess({ client, namespace: watch.store.namespace, registrations, ...core });
      onTestFinished(() => process.kill());
      await process.areReady(registrations.length);
      return process;
    };
    const living = Array.from({ length: 5 }, () => registrationOf());
    const [during, after] = [registrationOf(), registrationOf({ ttl: 600_000 })];
    const [survivor, killedDuring, killedAfter] = await Promise.all([start(...living), start(during), start(after)]);
    expect(survivor.ready.map(({ mode }) => mode)).toEqual(living.map(() => "thread"));
    await watch.until("all are seen", ({ population, presence }) => population === 8 && presence);
    await replicated(failover);

    await failover.primary.kill();
    await killedDuring.kill();
    await eventually("the store is away", async () => (await watch.look()) === undefined);
    await watch.until("the same handle works again", ({ presence }) => presence);
    const promoted = new Redis(failover.replica.port, "127.0.0.1", { protocol: 2 });
    onTestFinished(() => promoted.disconnect());
    expect(await promoted.info("replication")).toContain("role:master");

    const channels = living.map(({ incarnation }) => `{${watch.store.namespace}}:presence:${incarnation}`);
    await watch.until("all are present on the new primary", async () => {
      const counts = await promoted.pubsub("NUMSUB", ...channels);
      return counts.filter((_, i) => i % 2 === 1).every((count) => Number(count) === 1);
    });
    expect(watch.deaths.filter(({ incarnation }) => incarnation !== during.incarnation)).toEqual([]);
    await watch.until("who died meanwhile has lapsed", () => watch.deaths.length === 1);
    await killedAfter.kill();
    await watch.until("who died afterwards is absent", () => watch.deaths.length === 2);
    expect(watch.deaths).toEqual([
      { incarnation: during.incarnation, cause: "lapsed" },
      { incarnation: after.incarnation, cause: "absent" },
    ]);
    expect([...survivor.fenced, ...killedAfter.fenced]).toEqual([]);
  },
);

/** What was written so far is on the replica too: what a failover may lose is not asked here. */
async function replicated({ primary }: Failover): Promise<void> {
  const admin = new Redis(primary.port, "127.0.0.1", { protocol: 2 });
  try {
    await admin.set("written", "last");
    expect(await admin.wait(1, 10_000)).toBe(1);
  } finally {
    admin.disconnect();
  }
}
