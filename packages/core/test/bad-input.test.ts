/* What the store is given, and what it meets: whatever it is, the answer is a sentence, and nobody dies of it. */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { AssuranceError, createAssurance, redisStore } from "@assured-jobs/core";
import type { Assurance, AssuranceErrorCode, Look, Pulse, Registration, Store } from "@assured-jobs/core";
import { memoryAdapter, memoryQueue } from "@assured-jobs/core/testing";
import { startProxy } from "@assured-jobs/dev-proxy";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { keysOf } from "../src/redis/keys.ts";
import { eventually } from "./support/eventually.ts";
import { bulk, startFakeRedis } from "./support/fake-redis.ts";

const QUICK = 2_000;
const FEW_SECONDS = 8_000;

/** Nobody listens there. */
const NOWHERE = "redis://127.0.0.1:1";

let shared: RedisHandle;
let admin: Redis;
let count = 0;

/* The tests run side by side, so everything is ended when all are done, in reverse order. */
const ends: (() => Promise<unknown> | void)[] = [];
const atEnd = (end: () => Promise<unknown> | void): void => void ends.push(end);

beforeAll(async () => {
  vi.stubEnv("ASSURED_JOBS_REDIS_URL", undefined);
  vi.stubEnv("ASSURED_JOBS_NS", undefined);
  atEnd(() => vi.unstubAllEnvs() && undefined);
  shared = await startRedis({ own: true });
  atEnd(() => shared.stop());
  admin = new Redis(shared.port, "127.0.0.1", { protocol: 2 });
  atEnd(() => admin.disconnect());
});
afterAll(async () => {
  for (const end of ends.toReversed()) await end();
});

const newNamespace = (): string => `ns-${++count}`;

function storeAt(url: string, namespace: string = newNamespace()): Store {
  const store = redisStore({ url, namespace });
  atEnd(() => store.close());
  return store;
}

interface Told {
  readonly assurance: Assurance;
  readonly events: string[];
}

/** A process with a queue, and what it tells. */
function processOn(store: Store): Told {
  const adapters = [memoryAdapter({ queue: memoryQueue() })];
  const assurance = createAssurance({ adapters, store, stopTimeout: 100 });
  const events: string[] = [];
  assurance.on("store.down", () => events.push("store.down"));
  assurance.on("store.up", () => events.push("store.up"));
  assurance.on("warning", ({ message }) => events.push(message));
  atEnd(async () => void (await assurance.stop()));
  return { assurance, events };
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}

function codeOf(work: () => unknown): AssuranceErrorCode | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof AssuranceError) return error.code;
    throw error;
  }
  return undefined;
}

async function refusal(work: Promise<unknown>): Promise<AssuranceError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AssuranceError);
  return error as AssuranceError;
}

function registrationOf(change: Partial<Registration> = {}): Registration {
  const name = `worker-${++count}`;
  const lease = { ttl: 600_000, interval: 15_000, grace: 200 };
  const about = { host: "host", pid: 1, startedAt: 1, protocol: 1, pulse: "thread", holders: {} } as const;
  return { incarnation: `${name}.0123456789abcdef`, name, ...about, ...lease, ...change };
}

/** A pulse, and what it told. */
interface Beating {
  readonly registration: Registration;
  readonly pulse: Pulse;
  readonly told: string[];
}

async function startBeating(store: Store, change: Partial<Registration> = {}): Promise<Beating> {
  const registration = registrationOf(change);
  const told: string[] = [];
  const pulse = await store.pulse(registration, {
    fenced: () => told.push("fenced"),
    nudged: () => {},
    connection: (up) => told.push(up ? "up" : "down"),
    warn: (message) => told.push(message),
  });
  atEnd(() => pulse.stop());
  await pulse.ready;
  return { registration, pulse, told };
}

/** Registers somebody who never dies; returns a look of that one, as the watch. */
async function watchOn(store: Store): Promise<() => Promise<Look>> {
  await store.open();
  const { incarnation: by } = registrationOf();
  await store.roster.register(registrationOf({ incarnation: by }));
  const look = (): Promise<Look> => store.roster.look({ by, duties: ["watch"], dutyTtl: 600_000, interval: 250 });
  await look();
  return look;
}

/** Looks until so much observed time has passed; nobody may be suspected in any of them. */
async function nobodyDies(look: () => Promise<Look>, observed: number): Promise<void> {
  const start = (await look()).observed;
  await eventually("observed time passes", async () => {
    const seen = await look();
    expect(seen.suspects).toEqual([]);
    return seen.observed - start >= observed;
  });
}

describe("nothing that says where the store is", () => {
  test.each([
    ["no options", () => redisStore()],
    ["a namespace only", () => redisStore({ namespace: "mine" })],
    ["a connection without a server", () => redisStore({ connection: {} })],
    ["a connection with a database only", () => redisStore({ connection: { db: 3 } })],
    [
      "an assurance whose adapter cannot name its Redis",
      () => createAssurance({ adapters: [memoryAdapter({ queue: memoryQueue() })] }),
    ],
  ])("is refused, and never taken for localhost: %s", (_, make) => {
    expect(codeOf(make)).toBe("ERR_STORE_MISSING");
  });

  test("an empty ASSURED_JOBS_REDIS_URL is nothing; a good one is where the store is", async () => {
    vi.stubEnv("ASSURED_JOBS_REDIS_URL", "");
    expect(codeOf(() => redisStore())).toBe("ERR_STORE_MISSING");
    vi.stubEnv("ASSURED_JOBS_REDIS_URL", shared.url);
    const store = redisStore({ namespace: newNamespace() });
    vi.stubEnv("ASSURED_JOBS_REDIS_URL", undefined);
    atEnd(() => store.close());
    await expect(store.open()).resolves.toMatchObject({ warnings: [] });
  });
});

describe("nonsense is refused at once, and a password is never repeated", () => {
  test.each<[string, unknown]>([
    ["null", null],
    ["a text for options", "redis://127.0.0.1"],
    ["an unknown option", { url: NOWHERE, nampespace: "mine" }],
    ["a url of another protocol", { url: "http://:secret@127.0.0.1" }],
    ["a url without a host", { url: "redis://" }],
    ["a url that is none", { url: "redis://:secret@[127.0.0.1" }],
    ["an empty url", { url: "" }],
    ["a number for a url", { url: 6379 }],
    ["a url and a connection", { url: NOWHERE, connection: { host: "127.0.0.1" } }],
    ["a text for a connection", { connection: "redis://127.0.0.1" }],
    ["null for a connection", { connection: null }],
    ["a port that is none", { connection: { host: "127.0.0.1", port: "x" } }],
    ["a port beyond all ports", { connection: { host: "127.0.0.1", port: 70_000 } }],
    ["null for a client", { client: null }],
    ["something else for a client", { client: {} }],
    ["a client of another library", { client: { options: { socket: { host: "127.0.0.1" } } } }],
    ["an empty namespace", { url: NOWHERE, namespace: "" }],
    ["a namespace with braces", { url: NOWHERE, namespace: "{a}" }],
    ["a namespace of 65 characters", { url: NOWHERE, namespace: "a".repeat(65) }],
    ["a number for a namespace", { url: NOWHERE, namespace: 42 }],
  ])("%s", (_, options) => {
    const make = (): Store => redisStore(options as Parameters<typeof redisStore>[0]);
    expect(codeOf(make)).toBe("ERR_OPTION");
    expect(make).not.toThrow(/secret/);
  });
});

describe.concurrent("a store that cannot be reached", () => {
  test("start() goes on without it, tells so, and recovers by itself when the server appears", async () => {
    const path = await startProxy({ target: shared.port });
    const store = storeAt(path.url);
    await path.cut();
    atEnd(() => path.stop());
    const { assurance, events } = processOn(store);
    expect(await took(() => assurance.start())).toBeLessThan(FEW_SECONDS);
    expect(events).toEqual(["store.down"]);
    expect(await assurance.health()).toMatchObject({ live: true, ready: false, store: { reachable: false } });
    await path.mend();
    await eventually("the store is up", () => events.includes("store.up"));
    await eventually("this process is ready", async () => (await assurance.health()).ready);
    expect(events).toEqual(["store.down", "store.up"]);
    const { items } = await store.roster.instances({ limit: 10 });
    expect(items.map(({ registration }) => registration.incarnation)).toEqual([assurance.instance.incarnation]);
  });

  test("start({ required: true }) rejects within seconds, and says what to check", async () => {
    const { assurance } = processOn(storeAt(NOWHERE));
    const before = performance.now();
    const error = await refusal(assurance.start({ required: true }));
    expect(error.code).toBe("ERR_STORE_UNREACHABLE");
    expect(error.message).toContain("ECONNREFUSED");
    expect(performance.now() - before).toBeLessThan(FEW_SECONDS);
  });

  test("stop() is quick without it, whether it was never there or went away", async () => {
    const { assurance: never } = processOn(storeAt(NOWHERE));
    await never.start();
    expect(await took(() => never.stop())).toBeLessThan(QUICK);
    const path = await startProxy({ target: shared.port });
    atEnd(() => path.stop());
    const { assurance, events } = processOn(storeAt(path.url));
    await assurance.start();
    await path.cut();
    await eventually("it is told", () => events.includes("store.down"));
    expect(await took(() => assurance.stop())).toBeLessThan(QUICK);
  });

  test("a path that breaks and comes back is no death: the living are there again at once", async () => {
    const path = await startProxy({ target: shared.port });
    atEnd(() => path.stop());
    const namespace = newNamespace();
    const look = await watchOn(storeAt(shared.url, namespace));
    const { pulse, registration, told } = await startBeating(storeAt(path.url, namespace), {
      grace: 2_000,
      interval: 100,
    });
    for (let breaks = 0; breaks < 3; breaks++) {
      path.freeze();
      await sleep(500); // beats are under way, and their answers are lost
      await path.cut();
      await eventually("it knows", () => !pulse.present && told.at(-1) === "down");
      for (let looks = 0; looks < 3; looks++) await sleep(100).then(look); // it is marked as absent
      await path.mend();
      const back = await took(() => eventually("it is present again", () => pulse.present));
      expect(back, "a command whose answer was lost must not keep the next ones waiting").toBeLessThan(QUICK);
      await nobodyDies(look, 250);
    }
    expect(told.filter((one) => one !== "up" && one !== "down")).toEqual([]);
    expect(await isRegistered(namespace, registration)).toBe(1);
  });

  test("a wrong password is a refusal, not an outage", async () => {
    const store = redisStore({
      connection: { host: "127.0.0.1", port: shared.port, username: "nobody", password: "x" },
    });
    atEnd(() => store.close());
    expect((await refusal(store.open())).code).toBe("ERR_STORE_FORBIDDEN");
  });
});

const isRegistered = (namespace: string, { incarnation }: Registration): Promise<number> =>
  admin.hexists(keysOf(namespace).instances, incarnation);

describe.concurrent("a server that does not suit", () => {
  test("one that is too old is refused, with its version and what to do", async () => {
    const old = await startFakeRedis({
      INFO: bulk("# Server\r\nredis_version:5.0.0\r\nrun_id:abc\r\n"),
      TYPE: "+none\r\n",
      EVALSHA: "-ERR Write commands not allowed after non deterministic commands\r\n",
      HELLO: "-ERR unknown command\r\n",
    });
    atEnd(() => old.stop());
    const { assurance } = processOn(storeAt(old.url));
    const error = await refusal(assurance.start());
    expect(error.code).toBe("ERR_STORE_UNSUITED");
    expect(error.message).toMatch(/5\.0\.0.*Upgrade/);
  });

  test("one that may evict keys is used, with a warning", async () => {
    const evicting = await startRedis({ args: ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"] });
    atEnd(() => evicting.stop());
    const { assurance, events } = processOn(storeAt(evicting.url));
    await assurance.start();
    expect(events).toEqual([expect.stringMatching(/allkeys-lru.*noeviction/)]);
  });

  test("a replica is told by a warning, and refuses what cannot be kept there", async () => {
    const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(shared.port)] });
    atEnd(() => replica.stop());
    const store = storeAt(replica.url);
    const { warnings } = await store.open();
    expect(warnings).toEqual([expect.stringMatching(/replica.*primary/)]);
    const error = await refusal(store.roster.register(registrationOf()));
    expect([error.code, error.message]).toEqual(["ERR_STORE_UNREACHABLE", expect.stringContaining("accepts writes")]);
  });
});

describe.concurrent("a user of the server with few permissions", () => {
  const ALL = "on >secret ~* &* +@all";

  async function userStore(
    rules: string,
    namespace: string = newNamespace(),
    username: string = `user-${++count}`,
  ): Promise<Store> {
    await admin.call("ACL", "SETUSER", username, ...rules.split(/\s+/));
    const store = redisStore({
      connection: { host: "127.0.0.1", port: shared.port, username, password: "secret" },
      namespace,
    });
    atEnd(() => store.close());
    return store;
  }

  test("the permissions of the manual are enough for a life and a death", async () => {
    const manual = await readFile(new URL("../../../docs/operations.md", import.meta.url), "utf8");
    const rules = /ACL SETUSER assured (on >secret[^`]*)```/.exec(manual)![1]!.trim();
    const store = await userStore(rules, "assured_jobs");
    await expect(store.open()).resolves.toMatchObject({ warnings: [] });
    const look = await watchOn(store);
    const { pulse, registration, told } = await startBeating(store);
    expect(pulse.present).toBe(true);
    await nobodyDies(look, 500);
    await pulse.stop();
    await eventually("it is absent", async () => (await look()).suspects.length === 1);
    await expect(
      store.roster.declare({ incarnation: registration.incarnation, cause: "absent" }),
    ).resolves.toMatchObject({
      cause: "absent",
    });
    expect(told).toEqual(["up"]);
  });

  test("without INFO presence is off, with a warning, and the lease decides", async () => {
    const store = await userStore(`${ALL} -info`);
    const { warnings, server } = await store.open();
    expect(warnings).toEqual([expect.stringMatching(/INFO.*\+info/)]);
    expect(server).toMatch(/unknown/);
    await theLeaseDecides(store);
  });

  test("without channels nobody is absent, a warning says so, and the lease decides", async () => {
    const store = await userStore(`on >secret ~* resetchannels +@all`);
    const told = await theLeaseDecides(store);
    expect(told.toSorted()).toEqual([expect.stringMatching(/Presence is off.*NOPERM/), "up"]);
  });

  test("who loses the channels in the middle lives on", async () => {
    const namespace = newNamespace();
    const store = await userStore(ALL, namespace, "changing");
    const look = await watchOn(storeAt(shared.url, namespace));
    const { pulse, told } = await startBeating(store, { grace: 1_500 });
    await look();
    await admin.call("ACL", "SETUSER", "changing", "resetchannels");
    await eventually("it knows", () => !pulse.present && told.some((one) => one.includes("NOPERM")));
    await nobodyDies(look, 2_500);
    expect(told).not.toContain("fenced");
  });

  test("without scripts, or without the keys of the namespace, start() says which permission is missing", async () => {
    for (const rules of [`${ALL} -@scripting`, "on >secret ~other:* &* +@all"]) {
      const { assurance } = processOn(await userStore(rules));
      const error = await refusal(assurance.start());
      expect([error.code, error.message]).toEqual(["ERR_STORE_FORBIDDEN", expect.stringMatching(/NOPERM|permission/)]);
    }
  });

  /* One that is present as far as it can be, and silent in the end. */
  async function theLeaseDecides(store: Store): Promise<string[]> {
    const look = await watchOn(store);
    const { pulse, registration, told } = await startBeating(store, { grace: 0, ttl: 1_000, interval: 100 });
    await nobodyDies(look, 1_500);
    expect(pulse.present && (await look()).presence).toBe(false);
    await pulse.stop();
    const { incarnation } = registration;
    let suspects: Look["suspects"] = [];
    await eventually("it is suspected", async () => (suspects = (await look()).suspects).length > 0);
    expect(suspects).toEqual([{ incarnation, cause: "lapsed" }]);
    return told;
  }
});

describe("a stranger's data under a key of ours", () => {
  const NAMESPACE = "strange";
  const keys = keysOf(NAMESPACE);
  const ours = [
    ...Object.values(keys).filter(
      (key) => typeof key === "string" && key !== keys.presencePrefix && key !== keys.nudges,
    ),
    ...(["deaths", "recoveries", "actions"] as const).map((kind) => keys.history(kind)),
  ] as string[];

  test.each(ours)("is named when the store is opened, and left alone: %s", async (key) => {
    await admin.rpush(key, "a stranger's");
    try {
      const { assurance } = processOn(storeAt(shared.url, NAMESPACE));
      const error = await refusal(assurance.start());
      expect([error.code, error.message]).toEqual([
        "ERR_STORE_FOREIGN_DATA",
        expect.stringContaining(`The key ${key} holds a list`),
      ]);
      expect(await admin.lrange(key, 0, -1)).toEqual(["a stranger's"]);
    } finally {
      await admin.del(key);
    }
  });
});

describe.concurrent("what a stranger wrote among our records", () => {
  test.each(["{}", "[]", '{"run":null}', "no JSON", "7"])(
    "a claim that reads %s keeps no case open, and no event is written twice",
    async (text) => {
      const namespace = newNamespace();
      const store = storeAt(shared.url, namespace);
      await store.open();
      const orphans = ["1", "2", "3"].map((id) => ({ queue: "q", id, run: 1, holder: "dead.1", proof: "p" }));
      await store.casebook.open(
        orphans.map((orphan) => ({ orphan, charged: true })),
        60_000,
      );
      await admin.hset(keysOf(namespace).claims("dead.1"), JSON.stringify(["q", "2"]), text);
      const settlements = orphans.map((orphan) => ({
        orphan,
        outcome: "requeued" as const,
        event: { type: "orphan.recovered", who: "me", job: orphan.id },
      }));
      expect(await store.casebook.settle(settlements)).toEqual([true, true, true]);
      expect(await store.casebook.settle(settlements)).toEqual([false, false, false]);
      const { items } = await store.ledger.history("recoveries", { limit: 10 });
      expect(items.map(({ job }) => String(job)).toSorted()).toEqual(["1", "2", "3"]);
    },
  );
});

describe.concurrent("a server that changes while it is used", () => {
  test("scripts that are flushed in the middle are simply sent again", async () => {
    const namespace = newNamespace();
    const store = storeAt(shared.url, namespace);
    await store.open();
    const look = await watchOn(store);
    const { pulse, registration, told } = await startBeating(store, { interval: 100 });
    const holder = registration.incarnation;
    const orphan = { queue: "q", id: "1", run: 1, holder, proof: "p" };
    for (let round = 0; round < 3; round++) {
      await admin.script("FLUSH");
      expect((await look()).suspects).toEqual([]);
      await admin.script("FLUSH");
      expect(await store.ledger.claim(holder, { add: [{ ...orphan, since: 1 }], remove: [] })).toBe(true);
      await admin.script("FLUSH");
      const [opened] = await store.casebook.open([{ orphan, charged: true }], 60_000);
      expect(opened).toMatchObject({ orphan, deaths: 1 });
    }
    const event = { type: "orphan.recovered", who: holder };
    await admin.script("FLUSH");
    expect(await store.casebook.settle([{ orphan, outcome: "requeued", event }])).toEqual([true]);
    expect(pulse.present).toBe(true);
    expect(told).toEqual(["up"]);
  });

  test.each([
    {
      what: "has no memory left",
      refuse: async (server: Redis): Promise<void> => {
        await server.set("filler", "x".repeat(4_000_000));
        await server.config("SET", "maxmemory", "1mb");
      },
      allow: async (server: Redis) => void (await server.config("SET", "maxmemory", "0")),
    },
    {
      what: "is read-only",
      refuse: async (server: Redis) => void (await server.replicaof("127.0.0.1", 1)),
      allow: async (server: Redis) => void (await server.replicaof("NO", "ONE")),
    },
  ])("a server that $what refuses beats; nobody lapses meanwhile, and all recovers", async ({ refuse, allow }) => {
    const server = await startRedis({ own: true });
    atEnd(() => server.stop());
    const control = new Redis(server.port, "127.0.0.1", { protocol: 2 });
    atEnd(() => control.disconnect());
    const store = storeAt(server.url);
    await store.open();
    const look = await watchOn(store);
    const lease = { ttl: 1_000, interval: 100 };
    const living = [await startBeating(store, lease), await startBeating(store, lease)];
    await nobodyDies(look, 500);

    await refuse(control);
    await eventually("all are told", () => living.every(({ told }) => told.at(-1) === "down"));
    const { code } = await refusal(store.ledger.record("actions", { type: "action", who: "somebody" }));
    expect(code).toBe("ERR_STORE_UNREACHABLE");
    for (const end = Date.now() + 2 * lease.ttl; Date.now() < end; await sleep(100)) {
      expect((await look().catch(() => undefined))?.suspects ?? []).toEqual([]);
    }
    await allow(control);
    await eventually("all are told again", () => living.every(({ told }) => told.at(-1) === "up"));
    await eventually("all are present", () => living.every(({ pulse }) => pulse.present));
    await nobodyDies(look, 2 * lease.ttl);
    expect(living.map(({ told }) => told.includes("fenced"))).toEqual([false, false]);

    const [mortal] = living;
    await mortal!.pulse.stop();
    await eventually("who dies afterwards is suspected", async () => (await look()).suspects.length === 1);
  });
});
