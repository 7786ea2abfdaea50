/* Two fetches of one worker that end differently, in an order that no network can be told to keep. */
import { until } from "@assured-jobs/core/testing";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { keysWith } from "../src/keys.ts";
import { Fetcher } from "../src/worker/fetcher.ts";
import { QueueOrdering } from "../src/worker/queue-order.ts";

/** Milliseconds until the next parked job, and the paused queues: the answer when nothing is there. */
const NOTHING = [-1, ""];

interface Stage {
  readonly fetcher: Fetcher;
  /** What was done, in its order: `fetch`, `retract`, or `retract in vain`. */
  readonly done: string[];
}

/** A worker with two slots, so that two fetches are on their way. `fetch` answers the n-th one. */
function open(fetch: (n: number) => Promise<unknown>, isReachable: () => boolean = () => true): Stage {
  const done: string[] = [];
  let fetches = 0;
  const fetcher = new Fetcher({
    redis: { isClosed: false, atTurnsEnd: (send) => void setImmediate(send) },
    keys: keysWith(""),
    identity: "host:1:nonce",
    ordering: new QueueOrdering(["default"]),
    concurrency: 2,
    watches: new Map([["default", { something: () => sleep(100, false) }]]),
    holders: {
      current: "host:1:nonce#1",
      renew: async () => {},
      hasLeft: async () => false,
      retract: async () => {
        done.push(isReachable() ? "retract" : "retract in vain");
        if (!isReachable()) throw new Error("away");
      },
    },
    live: { arrived: () => {}, begun: () => {} },
    start: () => true,
    writeWorkers: () => false,
    fetch: (call) => (
      done.push("fetch"),
      call.keys.length > 0 ? fetch(++fetches) : Promise.reject(new Error("no keys"))
    ),
    tell: () => {},
  });
  onTestFinished(() => fetcher.close().catch(() => {}));
  fetcher.open();
  return { fetcher, done };
}

const lost = (after: number): Promise<never> => sleep(after).then(() => Promise.reject(new Error("connection lost")));

test("one finds nothing, and the answer of the other one is lost: that is undone before anything is fetched again", async () => {
  const { done } = open((n) => (n === 2 ? lost(20) : Promise.resolve(NOTHING)));
  await until("it went on", () => done.length >= 4);
  expect(done.slice(0, 4)).toEqual(["fetch", "fetch", "retract", "fetch"]);
});

test("both are lost: undone, and again until it succeeds", async () => {
  let isReachable = false;
  const { done } = open(
    (n) => (n <= 2 ? lost(n) : Promise.resolve(NOTHING)),
    () => isReachable,
  );
  await until("it was tried in vain", () => done.filter((one) => one === "retract in vain").length >= 2, 5_000);
  expect(done.filter((one) => one === "fetch")).toHaveLength(2);
  isReachable = true;
  await until("it went on", () => done.at(-1) === "fetch");
  expect(done.filter((one) => one !== "retract in vain").slice(0, 4)).toEqual(["fetch", "fetch", "retract", "fetch"]);
});

test("closed before it could be undone, and opened again: undone first", async () => {
  let isReachable = false;
  const { fetcher, done } = open(
    (n) => (n <= 2 ? lost(n) : Promise.resolve(NOTHING)),
    () => isReachable,
  );
  await until("both are on their way", () => done.length === 2);
  await expect(fetcher.close()).rejects.toThrow("away");
  isReachable = true;
  fetcher.open();
  await until("it went on", () => done.filter((one) => one === "fetch").length > 2, 5_000);
  expect(done.slice(0, 5)).toEqual(["fetch", "fetch", "retract in vain", "retract", "fetch"]);
});

test("quiet before it could be undone: tried until it is, and nothing is fetched", async () => {
  let isReachable = false;
  const { fetcher, done } = open(
    () => lost(1),
    () => isReachable,
  );
  await until("both are on their way", () => done.length === 2);
  const quiet = fetcher.quiet();
  await until("it was tried in vain", () => done.length === 4, 5_000);
  isReachable = true;
  await quiet;
  expect(done).toEqual(["fetch", "fetch", "retract in vain", "retract in vain", "retract"]);
});
