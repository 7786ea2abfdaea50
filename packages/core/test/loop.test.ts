import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Loop } from "../src/loop.ts";
import { defer } from "./support/fleet.ts";
import type { Deferred } from "./support/fleet.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A loop whose steps end when the test says so. */
function openLoop(): { loop: Loop; steps: Deferred<number>[] } {
  const steps: Deferred<number>[] = [];
  const loop = new Loop(() => {
    steps.push(defer<number>());
    return steps.at(-1)!.promise;
  });
  return { loop, steps };
}

const turns = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe("a loop", () => {
  test("steps once when it starts, and again after as long as the step says", async () => {
    const { loop, steps } = openLoop();
    loop.start();
    await turns();
    expect(steps.length).toBe(1);
    steps[0]!.resolve(100);
    await turns(99);
    expect(steps.length).toBe(1);
    await turns(1);
    expect(steps.length).toBe(2);
  });

  test("never takes two steps at once, however often it is woken or started", async () => {
    const { loop, steps } = openLoop();
    loop.start();
    await turns();
    for (let i = 0; i < 5; i++) {
      loop.wake();
      loop.start();
      await turns(1_000);
    }
    expect(steps.length).toBe(1);
  });

  test("a wake during a step is not lost: one more step follows at once, and only one", async () => {
    const { loop, steps } = openLoop();
    loop.start();
    await turns();
    loop.wake();
    loop.wake();
    steps[0]!.resolve(60_000);
    await turns();
    expect(steps.length).toBe(2);
    steps[1]!.resolve(60_000);
    await turns(59_999);
    expect(steps.length).toBe(2);
  });

  test("a wake cuts the wait short", async () => {
    const { loop, steps } = openLoop();
    loop.start();
    await turns();
    steps[0]!.resolve(60_000);
    await turns(10);
    loop.wake();
    await turns();
    expect(steps.length).toBe(2);
  });

  test("a step that wakes its own loop at once is still the only one", async () => {
    let running = 0;
    let most = 0;
    let steps = 0;
    const loop = new Loop(async () => {
      most = Math.max(most, ++running);
      if (++steps === 1) loop.wake();
      await new Promise((resolve) => setTimeout(resolve, 50));
      running--;
      return 60_000;
    });
    loop.start();
    await turns(200);
    expect([most, steps]).toEqual([1, 2]);
  });

  test("stop resolves when no step runs any more, and no step follows", async () => {
    const { loop, steps } = openLoop();
    loop.start();
    await turns();
    let stopped = false;
    const stopping = loop.stop().then(() => (stopped = true));
    await turns(1_000);
    expect(stopped).toBe(false);
    loop.wake();
    steps[0]!.resolve(0);
    await stopping;
    await turns(1_000);
    expect(steps.length).toBe(1);
  });

  test("stop may be called before start, between two steps, and again", async () => {
    const { loop, steps } = openLoop();
    await loop.stop();
    loop.wake();
    await turns(1_000);
    expect(steps.length).toBe(0);
    loop.start();
    await turns();
    steps[0]!.resolve(10);
    await turns();
    await Promise.all([loop.stop(), loop.stop()]);
    await loop.stop();
    await turns(1_000);
    expect(steps.length).toBe(1);
  });

  test("a loop that is started again while its last step goes on waits for that step", async () => {
    const { loop, steps } = openLoop();
    loop.start();
    await turns();
    void loop.stop();
    loop.start();
    await turns(1_000);
    expect(steps.length).toBe(1);
    steps[0]!.resolve(60_000);
    await turns();
    expect(steps.length).toBe(2);
  });
});
