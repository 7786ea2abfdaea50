/* The store on a real Cluster of three nodes: the whole contract, and deaths noticed by sharded presence. */
import { AsyncLocalStorage } from "node:async_hooks";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { AssuranceError, redisStore } from "@assured-jobs/core";
import type { Look, PulseListener, Registration, Store } from "@assured-jobs/core";
import { describeStore } from "@assured-jobs/core/testing";
import type { Runner, StoreHarness } from "@assured-jobs/core/testing";
import { Cluster, Redis } from "ioredis";
import { Cluster as Cluster5 } from "ioredis5";
import * as vitest from "vitest";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { TestContext } from "vitest";
import { startCluster } from "./support/cluster.ts";
import type { ClusterNode, RedisCluster } from "./support/cluster.ts";
import { eventually } from "./support/eventually.ts";
import { installBeside } from "./support/peer.ts";
import { PulseProcess } from "./support/pulse-process.ts";
import type { UserClient } from "./support/pulse-process.ts";

let cluster: RedisCluster;
let namespaces = 0;

/** Core with ioredis 5 as its peer. */
const beside5 = await installBeside("ioredis5");
const with5 = {
  ...((await import(beside5.core)) as { redisStore: typeof redisStore }),
  ...((await import(beside5.testing)) as { describeStore: typeof describeStore }),
};

beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  await Promise.all([cluster?.stop(), beside5.remove()]);
});

type RedisStore = typeof redisStore;
type ClusterClass = new (nodes: { host: string; port: number }[], options: { lazyConnect: true }) => object;

const newNamespace = (): string => `ns-${++namespaces}`;

/** Whether the test that runs stops a node: such a one has a Cluster of its own, so that all can run side by side. */
const stopsNode = new AsyncLocalStorage<boolean>();
const STOPS_NODE = /restart|out of reach|path breaks|lost its records|emptied/;
const sideBySide: Runner = {
  describe: vitest.describe,
  test: (name, options, body) => test.concurrent(name, options, () => stopsNode.run(STOPS_NODE.test(name), body)),
};

async function openHarness(Client: ClusterClass, make: RedisStore): Promise<StoreHarness> {
  const namespace = newNamespace();
  const own = stopsNode.getStore() ? await startCluster({ size: 2 }) : undefined;
  const target = own ?? cluster;
  const owner = await target.owner(namespace);
  const stores: Store[] = [];
  const reconnected = (): Promise<void> =>
    eventually("every handle works again", async () =>
      (await Promise.all(stores.map((store) => answers(store)))).every(Boolean),
    );
  return {
    store: async () => {
      const store = make({ client: new Client(target.addresses, { lazyConnect: true }), namespace });
      stores.push(store);
      return store;
    },
    advance: async (ms) => {
      await sleep(ms);
    },
    presence: (_, incarnation) => openPresence(owner, `{${namespace}}:presence:${incarnation}`),
    restart: async (options) => {
      expect(own, "a test that stops a node needs its own Cluster").toBeDefined();
      await target.restart(owner, options);
      await reconnected();
    },
    outage: async () => {
      expect(own, "a test that stops a node needs its own Cluster").toBeDefined();
      await owner.server.kill();
      return {
        end: async () => {
          await target.restart(owner, { wipe: false });
          await reconnected();
        },
      };
    },
    close: async () => own?.stop(),
  };
}

const answers = (store: Store): Promise<boolean> =>
  store.ledger.counts().then(
    () => true,
    () => false,
  );

async function openPresence({ server, admin }: ClusterNode, channel: string): Promise<{ close(): Promise<void> }> {
  const subscriber = new Redis(server.port, "127.0.0.1", { retryStrategy: () => null, protocol: 2 });
  subscriber.on("error", () => {});
  await subscriber.ssubscribe(channel);
  return {
    close: async () => {
      subscriber.disconnect();
      await eventually("the node knows that it is gone", async () => (await subscribers(admin, channel)) === 0);
    },
  };
}

async function subscribers(admin: Redis, ...channels: string[]): Promise<number> {
  const counts = (await admin.call("PUBSUB", "SHARDNUMSUB", ...channels)) as (string | number)[];
  return counts.filter((_, i) => i % 2 === 1).reduce<number>((sum, count) => sum + Number(count), 0);
}

describeStore(sideBySide, "redisStore on a Cluster", () => openHarness(Cluster, redisStore));
with5.describeStore(sideBySide, "redisStore on a Cluster, with ioredis 5 as the peer and as the client", () =>
  openHarness(Cluster5, with5.redisStore),
);

/** Real processes, and one who looks. */
class Fleet {
  readonly namespace = newNamespace();
  readonly store: Store;
  readonly #client: Pick<UserClient, "library"> & { core?: string };
  readonly #watcher = registrationOf("watcher");
  readonly #processes: PulseProcess[] = [];

  constructor(client: Pick<UserClient, "library"> & { core?: string }, { onTestFinished: atEnd }: TestContext) {
    this.#client = client;
    this.store = redisStore({
      client: new Cluster(cluster.addresses, { lazyConnect: true }),
      namespace: this.namespace,
    });
    atEnd(async () => {
      for (const one of this.#processes) await one.kill();
      await this.store.close();
    });
  }

  async open(): Promise<void> {
    await this.store.open();
    await this.store.roster.register(this.#watcher);
    await this.look();
  }

  /** One process with a pulse of its own for each registration, all of them ready. */
  async start(...registrations: Registration[]): Promise<PulseProcess> {
    const { library, core } = this.#client;
    const args = [cluster.addresses, { lazyConnect: true }];
    const process = new PulseProcess({
      client: { library, kind: "Cluster", args },
      namespace: this.namespace,
      registrations,
      ...(core === undefined ? {} : { core }),
    });
    this.#processes.push(process);
    await process.areReady(registrations.length);
    return process;
  }

  look(): Promise<Look> {
    return this.store.roster.look({
      by: this.#watcher.incarnation,
      duties: ["watch"],
      dutyTtl: 600_000,
      interval: 250,
    });
  }

  async untilAbsent({ incarnation }: Registration): Promise<void> {
    await eventually(`${incarnation} is absent`, async () => {
      const { suspects } = await this.look();
      expect(suspects.filter((one) => one.incarnation !== incarnation)).toEqual([]);
      return suspects.some((one) => one.cause === "absent");
    });
  }

  channelsOf(registrations: readonly Registration[]): string[] {
    return registrations.map(({ incarnation }) => `{${this.namespace}}:presence:${incarnation}`);
  }
}

let names = 0;

/** The lease is longer than any test: who dies here dies by absence. */
function registrationOf(name = `worker-${++names}`, change: Partial<Registration> = {}): Registration {
  return {
    incarnation: `${name}.${"0".repeat(15)}${++names}`,
    name,
    host: "host",
    pid: 1,
    startedAt: 1,
    protocol: 1,
    ttl: 600_000,
    interval: 15_000,
    grace: 1_000,
    pulse: "thread",
    holders: {},
    ...change,
  };
}

const six = (): Registration[] => Array.from({ length: 6 }, () => registrationOf());

const PEERS = [
  { peer: "ioredis 6", client: { library: "ioredis" } },
  { peer: "ioredis 6, with a client of ioredis 5", client: { library: "ioredis5" } },
  { peer: "ioredis 5", client: { library: "ioredis5", core: beside5.core } },
] as const;

describe.concurrent.each(PEERS)("processes in a Cluster, on $peer", ({ client }) => {
  test("six that live are never absent; the one that is killed is, within seconds", async (context) => {
    const fleet = new Fleet(client, context);
    await fleet.open();
    const living = six();
    const mortal = registrationOf();
    const [survivor, victim] = await Promise.all([fleet.start(...living), fleet.start(mortal)]);
    expect(survivor.ready.map(({ mode, present }) => [mode, present])).toEqual(living.map(() => ["thread", true]));
    for (let looks = 0; looks < 20; looks++) {
      const { suspects, presence, distrusted } = await fleet.look();
      expect({ suspects, presence, distrusted }).toEqual({ suspects: [], presence: true, distrusted: false });
      await sleep(100);
    }
    const { admin } = await cluster.owner(fleet.namespace);
    expect(await admin.hlen(`{${fleet.namespace}}:seen`), "the slot's owner saw all of them").toBe(7);
    await victim.kill();
    await fleet.untilAbsent(mortal);
    expect(await fleet.store.roster.declare({ incarnation: mortal.incarnation, cause: "absent" })).toMatchObject({
      cause: "absent",
    });
    expect(survivor.fenced).toEqual([]);
  });

  test("a slot that moves to another node, with everybody at work, is nobody's death and loses nothing", async (context) => {
    const fleet = new Fleet(client, context);
    await fleet.open();
    const living = six().map((one) => ({ ...one, interval: 200, ttl: 3_000 }));
    const mortal = registrationOf();
    const [survivor, victim] = await Promise.all([fleet.start(...living), fleet.start(mortal)]);
    const work = writing(fleet);
    await cluster.migrate(fleet.namespace, async () => {
      for (let looks = 0; looks < 4; looks++) await work.step();
    });
    const { admin } = await cluster.owner(fleet.namespace);
    const everybody = [...living, mortal];
    await eventually("all are present on the new owner", async () => {
      await work.step();
      return (await subscribers(admin, ...fleet.channelsOf(everybody))) === everybody.length;
    });
    await eventually("the new owner saw all of them", async () => {
      await work.step();
      return (await admin.hlen(`{${fleet.namespace}}:seen`)) === everybody.length;
    });
    for (const id of work.confirmed) expect(await fleet.store.ledger.findQuarantined("q", id), id).toBeDefined();
    expect(work.confirmed.length).toBeGreaterThan(0);
    expect([...survivor.fenced, ...victim.fenced]).toEqual([]);
    await victim.kill();
    await fleet.untilAbsent(mortal);
  });
});

test.for(PEERS)(
  "subscriptions that are cut come back by themselves, and nobody is absent: $peer",
  async ({ client }, context) => {
    const fleet = new Fleet(client, context);
    await fleet.open();
    const living = six();
    const process = await fleet.start(...living);
    const { admin } = await cluster.owner(fleet.namespace);
    for (let cut = 0; cut < 3; cut++) {
      await cutSubscriptions(admin);
      await eventually("all are present again", async () => {
        expect((await fleet.look()).suspects).toEqual([]);
        return (await subscribers(admin, ...fleet.channelsOf(living))) === living.length;
      });
    }
    for (let looks = 0; looks < 10; looks++) {
      expect((await fleet.look()).suspects).toEqual([]);
      await sleep(150);
    }
    expect(process.fenced).toEqual([]);
  },
);

/** Looks and writes, each of which may fail while the slot moves; nobody may be suspected, whatever happens. */
function writing(fleet: Fleet): { step(): Promise<void>; confirmed: string[] } {
  const confirmed: string[] = [];
  let next = 0;
  return {
    confirmed,
    step: async () => {
      const id = `${++next}`;
      const record = { queue: "q", id, run: 1, deaths: 1, holder: "h", reason: "load" };
      await fleet.store.ledger.quarantine(record).then(
        () => confirmed.push(id),
        () => {},
      );
      const seen = await fleet.look().catch(() => undefined);
      expect(seen?.suspects ?? []).toEqual([]);
    },
  };
}

async function cutSubscriptions(admin: Redis): Promise<void> {
  const clients = String(await admin.client("LIST", "TYPE", "PUBSUB")).split("\n");
  for (const client of clients.filter((line) => line.includes("name=assured-jobs:presence"))) {
    await admin.client("KILL", "ID", Number(/id=(\d+)/.exec(client)![1])).catch(() => {});
  }
}

describe.concurrent("a Cluster without sharded subscriptions", () => {
  test.for([
    {
      because: "the server does not know them",
      args: ["--rename-command", "SSUBSCRIBE", ""],
      warning: "unknown command",
    },
    {
      because: "the user may not use them",
      args: ["--user", ..."default on nopass ~* &* +@all -ssubscribe".split(" ")],
      warning: "NOPERM",
    },
  ])(
    "presence is off with a warning, and nobody is absent: $because",
    async ({ args, warning }, { onTestFinished: atEnd }) => {
      const small = await startCluster({ size: 1, args });
      atEnd(() => small.stop());
      const store = redisStore({ client: new Cluster(small.addresses, { lazyConnect: true }) });
      atEnd(() => store.close());
      await store.open();
      const watcher = registrationOf("watcher");
      const living = registrationOf("worker", { grace: 0 });
      await store.roster.register(watcher);
      const warnings: string[] = [];
      const pulse = await store.pulse(living, { ...silent, warn: (message) => warnings.push(message) });
      atEnd(() => pulse.stop());
      await pulse.ready;
      expect(warnings).toEqual([expect.stringContaining(warning)]);
      expect(pulse.present).toBe(false);
      for (let looks = 0; looks < 5; looks++) {
        const look = await store.roster.look({
          by: watcher.incarnation,
          duties: ["watch"],
          dutyTtl: 60_000,
          interval: 250,
        });
        expect(look).toMatchObject({ held: ["watch"], suspects: [], distrusted: false });
        await sleep(50);
      }
    },
  );
});

const silent: PulseListener = { fenced: () => {}, nudged: () => {}, connection: () => {}, warn: () => {} };

test("the permissions of the manual for a Cluster are enough to live there and to be missed", async () => {
  const manual = await readFile(new URL("../../../docs/operations.md", import.meta.url), "utf8");
  const [, single = ""] = /ACL SETUSER assured (on >secret[^`]*)```/.exec(manual)!;
  const [, instead = ""] = /In a Cluster the last line is `([^`]*)`/.exec(manual)!;
  const lines = single.trim().split("\n");
  const rules = [...lines.slice(0, -1), instead, "+cluster|slots"].join(" ").split(/\s+/);
  const small = await startCluster({ size: 1 });
  onTestFinished(() => small.stop());
  await small.nodes[0]!.admin.call("ACL", "SETUSER", "assured", ...rules);
  const redisOptions = { username: "assured", password: "secret" };
  const store = redisStore({ client: new Cluster(small.addresses, { lazyConnect: true, redisOptions }) });
  onTestFinished(() => store.close());
  await expect(store.open()).resolves.toMatchObject({ warnings: [] });
  const [watcher, mortal] = [registrationOf("watcher"), registrationOf()];
  await store.roster.register(watcher);
  const told: string[] = [];
  const pulse = await store.pulse(mortal, { ...silent, warn: (message) => told.push(message) });
  await pulse.ready;
  expect([pulse.mode, pulse.present, told]).toEqual(["thread", true, []]);
  await pulse.stop();
  await eventually("it is absent", async () => {
    const request = { by: watcher.incarnation, duties: ["watch"], dutyTtl: 60_000, interval: 250 };
    return (await store.roster.look(request)).suspects.length === 1;
  });
  expect(await store.roster.declare({ incarnation: mortal.incarnation, cause: "absent" })).toMatchObject({
    cause: "absent",
  });
});

describe("what a client of the user's says about its Cluster", () => {
  test("it may be connected already, or not yet, and its own settings for reading and for keys are not ours", async () => {
    for (const lazyConnect of [true, false]) {
      const client = new Cluster(cluster.addresses, {
        lazyConnect,
        scaleReads: "slave",
        enableAutoPipelining: true,
        keyPrefix: "mine:",
        redisOptions: { keyPrefix: "mine:", stringNumbers: true, connectionName: "mine" },
      });
      if (!lazyConnect) await eventually("the client is ready", () => client.status === "ready");
      const namespace = newNamespace();
      const store = redisStore({ client, namespace });
      await store.open();
      const { admin } = await cluster.owner(namespace);
      const one = registrationOf();
      await store.roster.register(one);
      expect((await store.ledger.counts()).instances).toBe(1);
      expect(await admin.hkeys(`{${namespace}}:instances`)).toEqual([one.incarnation]);
      await store.close();
      client.disconnect();
    }
  });

  test("one of several addresses is enough", async () => {
    const addresses = [{ host: "127.0.0.1", port: 1 }, cluster.addresses[2]!];
    const store = redisStore({ client: new Cluster(addresses, { lazyConnect: true }), namespace: newNamespace() });
    onTestFinished(() => store.close());
    await store.open();
    expect((await store.ledger.counts()).instances).toBe(0);
  });

  test("without any node that answers, open() rejects within seconds and says so", async () => {
    const store = redisStore({ client: new Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true }) });
    onTestFinished(() => store.close());
    const before = Date.now();
    const error = await store.open().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AssuranceError);
    expect(error).toMatchObject({ code: "ERR_STORE_UNREACHABLE" });
    expect(Date.now() - before).toBeLessThan(8_000);
  });
});
