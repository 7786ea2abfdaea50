import { setImmediate as turn } from "node:timers/promises";
import * as vitest from "vitest";
import { describe, expect, test, vi } from "vitest";
import type { Registration } from "../src/instance.ts";
import type { Look, PulseListener } from "../src/store.ts";
import { describeStore, memoryServer, memoryStore } from "../src/testing/index.ts";
import type { MemoryPulse, MemoryServer, MemoryStore, StoreHarness } from "../src/testing/index.ts";
import { INTERVAL, LONG, registrationOf, TTL } from "../src/testing/store-suite/scene.ts";

/* The server's clock runs with real time, since pulses beat by real timers, and can be set forward. */
async function openMemory(): Promise<StoreHarness> {
  let skipped = 0;
  const server = memoryServer({ now: () => Date.now() + skipped });
  return {
    store: async () => memoryStore({ server }),
    advance: async (ms) => {
      skipped += ms;
      await turn();
    },
    presence: async (store, incarnation) => {
      const subscription = server.subscribe(store.namespace, incarnation);
      subscription.open();
      return { close: async () => subscription.close() };
    },
    restart: async ({ wipe }) => {
      server.stop();
      if (wipe) server.wipe();
      server.start();
    },
    outage: async () => {
      server.stop();
      return { end: async () => server.start() };
    },
    close: async () => {},
  };
}

describeStore(vitest, "memoryStore", openMemory);

/** A fleet on one server: the clock belongs to the test, and the watcher looks when it is told to. */
async function openFleet(): Promise<{
  readonly server: MemoryServer;
  readonly clock: { now: number };
  readonly store: MemoryStore;
  readonly heard: string[];
  readonly start: (change?: Partial<Registration>) => Promise<MemoryPulse>;
  readonly look: () => Promise<Look>;
}> {
  const clock = { now: 1_000_000 };
  const server = memoryServer({ now: () => clock.now });
  const store = memoryStore({ server });
  const watcher = registrationOf({ name: "watcher" });
  await store.roster.register(watcher);
  const heard: string[] = [];
  const listener: PulseListener = {
    fenced: () => void heard.push("fenced"),
    nudged: () => void heard.push("nudged"),
    connection: (up) => void heard.push(up ? "up" : "down"),
    warn: () => {},
  };
  return {
    server,
    clock,
    store,
    heard,
    start: (change) => store.pulse(registrationOf(change), listener),
    look: () => store.roster.look({ by: watcher.incarnation, duties: ["watch"], dutyTtl: LONG, interval: INTERVAL }),
  };
}

describe("memoryStore plays processes and servers that fail", () => {
  test("a pulse that crashed is absent, and hears of nothing", async () => {
    const { clock, heard, look, start, store } = await openFleet();
    const pulse = await start({ grace: 0 });
    await look();
    pulse.crash();
    for (let i = 0; i < 2; i++) await look();
    clock.now += INTERVAL;
    const { suspects } = await look();
    expect(suspects.map(({ cause }) => cause)).toEqual(["absent"]);
    await store.roster.declare(suspects[0]!);
    await turn();
    expect(heard).toEqual(["up"]);
  });

  test("a pulse that is frozen is present and silent; once it thaws it hears that it is fenced", async () => {
    const { clock, heard, look, start, store } = await openFleet();
    const pulse = await start({ ttl: TTL, grace: 0 });
    pulse.freeze();
    for (let i = 0; i < 3; i++) {
      clock.now += INTERVAL;
      expect((await look()).suspects).toEqual([]);
    }
    clock.now += INTERVAL;
    const [suspect] = (await look()).suspects;
    expect(suspect?.cause).toBe("lapsed");
    await store.roster.declare(suspect!);
    await turn();
    expect(heard).toEqual(["up"]);
    await pulse.thaw();
    expect(heard).toEqual(["up", "fenced"]);
    expect(pulse.present).toBe(false);
  });

  test("a pulse that hears of its death twice at once tells it once", async () => {
    const { heard, start, store } = await openFleet();
    const registration = registrationOf();
    const pulse = await start(registration);
    pulse.freeze();
    const declared = store.roster.declare({ incarnation: registration.incarnation, cause: "left" });
    await pulse.thaw(); // its beat and the notice arrive together
    await declared;
    expect(heard).toEqual(["up", "fenced"]);
  });

  test("while the server is down nobody is present; a pulse comes back with it", async () => {
    const { heard, server, start, store } = await openFleet();
    const pulse = await start();
    server.stop();
    expect(pulse.present).toBe(false);
    server.start();
    await vi.waitFor(() => expect(pulse.present).toBe(true));
    expect(heard).toEqual(["up", "down", "up"]);
    await store.close();
  });

  test("a clock that jumps, forwards or backwards, lets nobody lapse and keeps no duty for ever", async () => {
    const { clock, look, store } = await openFleet();
    const living = registrationOf({ ttl: TTL });
    const wanted = { duties: ["a"], dutyTtl: TTL, interval: INTERVAL };
    const holder = registrationOf();
    for (const registration of [living, holder]) await store.roster.register(registration);
    const { observed } = await look();
    for (const jump of [LONG, -2 * LONG, 2 * LONG, -LONG]) {
      clock.now += jump;
      expect((await look()).suspects).toEqual([]);
      await store.roster.beat({ ...living, blockedFor: 0 });
    }
    expect((await look()).observed).toBe(observed + 4 * INTERVAL); // two jumps forward, 2 intervals each
    await store.roster.look({ by: holder.incarnation, ...wanted });
    clock.now -= LONG;
    expect((await store.roster.look({ by: living.incarnation, ...wanted })).held).toEqual(["a"]);
  });

  test("a pulse that is started while the server is down registers when it is back", async () => {
    const { heard, server, start, store } = await openFleet();
    server.stop();
    const pulse = await start();
    expect([pulse.present, pulse.lastBeat, heard]).toEqual([false, undefined, ["down"]]);
    const updated = pulse.update(registrationOf({ name: "renamed" }));
    server.start();
    await updated;
    expect([pulse.present, heard]).toEqual([true, ["down", "up"]]);
    const { items } = await store.roster.instances({ limit: 10 });
    expect(items.map(({ registration }) => registration.name)).toEqual(["watcher", "renamed"]);
    await store.close();
    expect(pulse.present).toBe(false);
  });

  test("fleets in different namespaces of one server do not see each other", async () => {
    const { server, store, look, start } = await openFleet();
    const other = memoryStore({ server, namespace: "other" });
    const registration = registrationOf();
    await other.roster.register(registration);
    await start();
    expect((await look()).population).toBe(2);
    expect(await store.roster.beat({ ...registration, blockedFor: 0 })).toBe("unknown");
    expect((await other.roster.register(registrationOf())).siblings).toEqual([]);
    await store.close();
  });

  test("what a caller gets or gave is a copy", async () => {
    const { store } = await openFleet();
    const holders: Record<string, string[]> = { "memory:jobs": ["a"] };
    const { incarnation } = registrationOf();
    await store.roster.register(registrationOf({ incarnation, holders }));
    holders["memory:jobs"]?.push("b");
    const { items } = await store.roster.instances({ limit: 10 });
    expect(items.at(-1)?.registration.holders).toEqual({ "memory:jobs": ["a"] });
  });
});
