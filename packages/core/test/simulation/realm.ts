/* The realm in which the real code of core runs: its clocks, timers, chance and identities are virtual.
 *
 * Only while a clock runs: between two schedules everything is Node's own again. Modules see the change, because a
 * builtin's exports are bound anew after each one. Copies of records are made by hand: Node's own are ten times slower.
 */
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import timersPromises from "node:timers/promises";
import type { Clock, Task } from "./clock.ts";
import type { Random } from "./random.ts";

let clock: Clock | undefined;
let random: Random | undefined;
let identities = 0;

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  structuredClone: globalThis.structuredClone,
  now: Date.now,
  monotonic: performance.now.bind(performance),
  random: Math.random,
  randomUUID: crypto.randomUUID,
  randomBytes: crypto.randomBytes,
  stackTraceLimit: Error.stackTraceLimit,
  delay: timersPromises.setTimeout,
};

/** Enters a clock's time: until leave(), whatever core asks for comes from it. */
export function enter(virtual: Clock, chance: Random): void {
  clock = virtual;
  random = chance;
  Error.stackTraceLimit = 0; // calls fail by the thousand, and nobody reads where
  identities = 0;
}

export function leave(): void {
  clock = undefined;
  Error.stackTraceLimit = real.stackTraceLimit;
}

/** Makes this realm virtual on demand; returns what undoes it. */
export function install(): () => void {
  Object.assign(globalThis, {
    setTimeout: (act: () => void, ms = 0) => (clock ? timer(clock, act, ms) : real.setTimeout(act, ms)),
    clearTimeout: (given: unknown) => cancel(given, real.clearTimeout),
    setInterval: (act: () => void, ms: number) => (clock ? new Interval(clock, act, ms) : real.setInterval(act, ms)),
    clearInterval: (given: unknown) => cancel(given, real.clearInterval),
    structuredClone: <T>(value: T) => (clock ? copyOf(value) : real.structuredClone(value)),
  });
  Date.now = () => (clock ? clock.now + (clock.lane?.skew ?? 0) : real.now());
  performance.now = () => (clock ? clock.now : real.monotonic());
  Math.random = () => (clock ? random!() : real.random());
  bind({
    randomUUID: () => (clock ? identity() : real.randomUUID()),
    randomBytes: (size: number) => (clock ? Buffer.from(identity().padStart(size, "0")) : real.randomBytes(size)),
    setTimeout: (ms: number, value: unknown, options: object) =>
      clock ? new Promise((resolve) => timer(clock!, () => resolve(value), ms)) : real.delay(ms, value, options),
  });
  return uninstall;
}

function uninstall(): void {
  const { setTimeout, clearTimeout, setInterval, clearInterval, structuredClone } = real;
  Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval, structuredClone });
  Date.now = real.now;
  performance.now = real.monotonic;
  Math.random = real.random;
  bind({ randomUUID: real.randomUUID, randomBytes: real.randomBytes, setTimeout: real.delay });
}

function bind({ randomUUID, randomBytes, setTimeout }: Record<string, unknown>): void {
  Object.assign(crypto, { randomUUID, randomBytes });
  Object.assign(timersPromises, { setTimeout });
  syncBuiltinESMExports();
}

const identity = (): string => String(++identities);

class Timer {
  task: Task | undefined;

  unref(): this {
    return this;
  }
}

function timer(virtual: Clock, act: () => void, ms: number): Timer {
  const made = new Timer();
  made.task = virtual.schedule(virtual.lane, Math.max(1, Math.trunc(ms)), act);
  return made;
}

class Interval extends Timer {
  constructor(virtual: Clock, act: () => void, ms: number) {
    super();
    const { lane } = virtual;
    const again = (): void => {
      this.task = virtual.schedule(lane, ms, again);
      act();
    };
    this.task = virtual.schedule(lane, ms, again);
  }
}

function cancel(given: unknown, otherwise: (given?: NodeJS.Timeout) => void): void {
  if (!(given instanceof Timer)) return otherwise(given as NodeJS.Timeout);
  if (given.task) given.task.cancelled = true;
}

function copyOf<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => copyOf(item)) as T;
  const copy: Record<string, unknown> = {};
  for (const key in value) copy[key] = copyOf(value[key]);
  return copy as T;
}
