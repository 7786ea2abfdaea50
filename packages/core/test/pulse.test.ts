/* Where the heart of redisStore beats, on a real Redis. The built package: a thread needs its file. */
import { setTimeout as sleep } from "node:timers/promises";
import { startRedis } from "@assured-jobs/dev-redis";
import { redisStore } from "@assured-jobs/core";
import type { PulseListener, Store } from "@assured-jobs/core";
import { Worker } from "node:worker_threads";
import { expect, onTestFinished, test, vi } from "vitest";
import { registrationOf } from "../src/testing/store-suite/scene.ts";

async function open(change: object = {}): Promise<Store> {
  const redis = await startRedis({ own: true });
  onTestFinished(() => redis.stop());
  const store = redisStore({ connection: { host: "127.0.0.1", port: redis.port, ...change } });
  await store.open();
  onTestFinished(() => store.close());
  return store;
}

function listening(): PulseListener & { readonly warnings: string[] } {
  const warnings: string[] = [];
  return { warnings, warn: (message) => void warnings.push(message), fenced() {}, nudged() {}, connection() {} };
}

const recordOf = async (store: Store, incarnation: string): Promise<string | undefined> => {
  const { items } = await store.roster.instances({ limit: 10 });
  return items.find(({ registration }) => registration.incarnation === incarnation)?.registration.pulse;
};

test("the pulse beats in a thread, and tells when the event loop of its process is blocked", async () => {
  const store = await open();
  const registration = registrationOf({ interval: 100, ttl: 400 });
  const watcher = registrationOf({ name: "watcher", interval: 100, ttl: 600_000 });
  await store.roster.register(watcher);
  const listener = listening();
  const pulse = await store.pulse(registration, listener);
  onTestFinished(() => pulse.stop());
  await pulse.ready;
  expect([pulse.mode, pulse.present, listener.warnings]).toEqual(["thread", true, []]);
  expect(await recordOf(store, registration.incarnation)).toBe("thread");
  const look = { by: watcher.incarnation, duties: [], dutyTtl: 1_000, interval: 100 };
  for (const end = performance.now() + 2_500; performance.now() < end;);
  const { blocked } = await store.roster.look(look);
  expect(blocked).toEqual([registration.incarnation]);
});

test("where a thread cannot be had the pulse beats on the main loop, and says so", async () => {
  const store = await open({ anything: () => "a function cannot cross into a thread" });
  const registration = registrationOf({ interval: 100, ttl: 1_000 });
  const listener = listening();
  const pulse = await store.pulse(registration, listener);
  onTestFinished(() => pulse.stop());
  await pulse.ready;
  expect([pulse.mode, pulse.present]).toEqual(["main", true]);
  expect(listener.warnings.join()).toContain("a thread cannot be had");
  expect(await recordOf(store, registration.incarnation)).toBe("main");
  const before = pulse.lastBeat ?? 0;
  while ((pulse.lastBeat ?? 0) <= before) await sleep(10);
});

test("what was told to a thread that ends is told again by the main loop", async () => {
  const store = await open();
  const registration = registrationOf({ interval: 100, ttl: 1_000 });
  const threads: Worker[] = [];
  const post = vi.spyOn(Worker.prototype, "postMessage").mockImplementation(function (this: Worker) {
    threads.push(this); // it hears nothing any more
  });
  onTestFinished(() => post.mockRestore());
  const listener = listening();
  const pulse = await store.pulse(registration, listener);
  onTestFinished(() => pulse.stop());
  await pulse.ready;
  const told = pulse.update({ ...registration, holders: { "test:q": ["new"] } });
  await threads[0]!.terminate();
  await told;
  expect(pulse.mode).toBe("main");
  const { items } = await store.roster.instances({ limit: 10 });
  expect(items[0]?.registration.holders).toEqual({ "test:q": ["new"] });
});
