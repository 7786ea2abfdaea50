/* From SIGKILL until the job runs again in another live process, default settings.
 *
 * Two worker processes; the one that has the job is killed at a random moment, so over the kills it may or may not be
 * the one on duty. The clock starts before kill() and stops when the first message of the handler arrives from the
 * other one. The dead one is replaced only then: nothing but the survivor can have noticed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { loadQueue } from "../queues/index.mjs";
import { onServer } from "../server.mjs";
import { percentile, rounded } from "../statistics.mjs";
import { Table } from "../table.mjs";
import { Crew } from "./crew.mjs";

/** Longer than every interval of a look or a pass, so that the kill falls into any phase of them, ms. */
const PHASES = { from: 200, to: 2_200 };
const PATIENCE = 120_000;

/**
 * @param {{ queue: string, n: number, backlog: number }} options `backlog`: so many jobs of 20 ms wait when it is killed
 * @param {import("../table.mjs").Say} say
 */
export function detection({ queue, n, backlog }, say) {
  return onServer(async ({ url }) => {
    const where = { url, name: "detection" };
    const producer = (await loadQueue(queue)).openQueue(where);
    const crew = new Crew(queue, where);
    const table = new Table(say, ["kill", "ms"]);
    /** @type {number[]} */
    const times = [];
    try {
      await crew.ready();
      for (let kill = 1; kill <= n; kill++) {
        const ms = await round(producer, crew, backlog);
        times.push(ms);
        table.row([kill, Math.round(ms)]);
      }
    } finally {
      await crew.end();
      await producer.close();
    }
    const [p50Ms, p99Ms] = [0.5, 0.99].map((share) => rounded(percentile(times, share), 1));
    const maxMs = rounded(Math.max(...times), 1);
    say(`p50 ${p50Ms} ms, p99 ${p99Ms} ms, max ${maxMs} ms`);
    return { detection: { queue, n, backlog, p50Ms, p99Ms, maxMs } };
  });
}

/**
 * @param {import("../queues/contract.d.ts").Producer} producer
 * @param {Crew} crew
 * @param {number} backlog
 */
async function round(producer, crew, backlog) {
  const running = crew.runs();
  const [id] = await producer.add(1);
  const victim = await running;
  crew.watch(String(id));
  if (backlog > 0) await producer.add(backlog);
  await sleep(PHASES.from + Math.random() * (PHASES.to - PHASES.from));
  const again = crew.runs();
  const from = performance.now();
  const gone = victim.member.kill();
  const survivor = await within(PATIENCE, again);
  const ms = performance.now() - from;
  await gone;
  if (survivor.id !== id || survivor.member === victim.member) throw new Error(`job ${String(id)} did not run again`);
  const completed = survivor.member.next("completed");
  survivor.member.send({ type: "end" });
  await completed;
  while ((await producer.waiting()) > 0) await sleep(50);
  await crew.replace(victim.member);
  crew.watch(undefined);
  return ms;
}

/**
 * @template T
 * @param {number} ms
 * @param {Promise<T>} event
 * @returns {Promise<T>}
 */
async function within(ms, event) {
  const patience = new AbortController();
  const late = sleep(ms, undefined, { signal: patience.signal }).then(() => {
    throw new Error(`the job did not run again within ${ms} ms`);
  });
  late.catch(() => {});
  return Promise.race([event, late]).finally(() => patience.abort());
}
