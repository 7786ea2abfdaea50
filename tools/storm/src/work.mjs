/* What handlers do. */
import { setTimeout as sleep } from "node:timers/promises";

/** @typedef {import("./history.d.mts").Task} Task */

/** @type {Record<Task["task"], (ms: number, signal?: AbortSignal) => Promise<void>>} */
const TASKS = {
  async work(ms, signal) {
    if (ms > 0) await sleep(ms, undefined, signal ? { signal } : {});
  },
  /** Whatever anybody says. */
  async stubborn(ms) {
    await sleep(ms);
  },
  /** Nothing else in its thread turns meanwhile. */
  async block(ms) {
    for (const end = performance.now() + ms; performance.now() < end;);
  },
};

/**
 * @param {Task} task
 * @param {AbortSignal | undefined} signal
 */
export const perform = ({ task, ms }, signal) => TASKS[task](ms, signal);

/**
 * Whether a run with so many failed attempts before it fails on purpose.
 * @param {Task} task
 * @param {number} attempt
 */
export const fails = ({ fails: often, dies }, attempt) => dies || attempt < often;
