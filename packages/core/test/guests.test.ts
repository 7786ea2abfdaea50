/* Processes without our code, as the books of their queue list them: in the roster like any other instance. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Guest, QueueAdapter, Registration, Store } from "@assured-jobs/core";
import { memoryStore } from "@assured-jobs/core/testing";
import { Events } from "../src/events.ts";
import { Guests } from "../src/guests.ts";
import type { Liveness } from "../src/liveness.ts";

const QUEUE = "test:mails";

const guest: Guest = {
  incarnation: "ruby-host-7.0123456789abcdef",
  name: "ruby:host:7",
  host: "host",
  pid: 7,
  startedAt: 1,
  holders: { [QUEUE]: ["ruby 7"] },
  state: "alive",
  evidence: 'its record has "lapsed"',
};

interface Scene {
  readonly store: Store;
  readonly events: Events;
  readonly guests: Guests;
  /** The books, as the next look finds them. */
  listed: readonly Guest[];
  look(): Promise<void>;
}

function open(): Scene {
  const store = memoryStore();
  const events = new Events();
  const registered = async (): Promise<readonly Registration[]> =>
    (await store.roster.instances({ limit: 100 })).items.map(({ registration }) => registration);
  const liveness = { guestsOf: registered } as unknown as Liveness;
  const guests = new Guests({ store, events, liveness });
  const scene: Scene = { store, events, guests, listed: [], look: () => guests.follow(adapter, QUEUE) };
  const adapter = { guests: async () => scene.listed } as unknown as QueueAdapter;
  return scene;
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

test("a guest is an instance that nobody's clock lets lapse", async () => {
  const scene = open();
  scene.listed = [guest];
  await scene.look();
  const { items } = await scene.store.roster.instances({ limit: 10 });
  expect(items).toMatchObject([{ state: "alive", registration: { name: guest.name, pulse: "guest" } }]);
  expect(items[0]!.registration.ttl).toBeGreaterThan(365 * 24 * 3_600_000);
});

test("a guest that its books call dead is declared dead once, with their words, by however many who look", async () => {
  const scene = open();
  const deaths: string[] = [];
  scene.events.on("instance.dead", ({ death }) => void deaths.push(death.evidence));
  scene.listed = [guest];
  await scene.look();
  scene.listed = [{ ...guest, state: "dead" }];
  await Promise.all([scene.look(), scene.look()]);
  await scene.look();
  expect(deaths).toEqual([guest.evidence]);
  expect(await scene.store.roster.dead()).toMatchObject([{ cause: "reported", leaving: false }]);
});

test("a guest that was never seen alive is declared dead as well: what it holds must be looked for", async () => {
  const scene = open();
  scene.listed = [{ ...guest, state: "dead" }];
  await scene.look();
  expect(await scene.store.roster.dead()).toHaveLength(1);
});

test("a guest that is missing in one look is not parted with; after half a minute it has left, and is no death", async () => {
  const scene = open();
  scene.listed = [guest];
  await scene.look();
  scene.listed = [];
  await scene.look();
  vi.advanceTimersByTime(29_000);
  await scene.look();
  expect((await scene.store.roster.instances({ limit: 10 })).items).toHaveLength(1);
  vi.advanceTimersByTime(2_000);
  await scene.look();
  expect((await scene.store.roster.instances({ limit: 10 })).items).toEqual([]);
  expect(await scene.store.roster.dead()).toEqual([]);
});

test("a guest that was parted with may be listed again, and its death is declared like any other", async () => {
  for (const state of ["alive", "dead"] as const) {
    const scene = open();
    scene.listed = [guest];
    await scene.look();
    scene.listed = [];
    await scene.look();
    vi.advanceTimersByTime(31_000);
    await scene.look();
    expect((await scene.store.roster.instances({ limit: 10 })).items).toEqual([]);
    scene.listed = [{ ...guest, state }];
    await scene.look();
    expect((await scene.store.roster.instances({ limit: 10 })).items).toHaveLength(state === "alive" ? 1 : 0);
    scene.listed = [{ ...guest, state: "dead" }];
    await scene.look();
    expect(await scene.store.roster.dead()).toHaveLength(1);
  }
});

test("who watches nobody parts with nobody", async () => {
  const scene = open();
  scene.listed = [guest];
  await scene.look();
  const blind = { guests: async () => undefined } as unknown as QueueAdapter;
  for (let looks = 0; looks < 3; looks++) {
    await scene.guests.follow(blind, QUEUE);
    vi.advanceTimersByTime(31_000);
  }
  expect((await scene.store.roster.instances({ limit: 10 })).items).toHaveLength(1);
});

test("a queue without guests costs no look at the roster", async () => {
  const { guests } = open();
  await guests.follow({} as QueueAdapter, QUEUE);
});
