/* One real process of a user: a Bee queue with its handler, the lines of assurance, and a wire to the test.
 *
 * `task` in a job's data says what its handler does. Everything that happens is told at once, so that what a process
 * had said before it was killed is known. */
import { setTimeout as sleep } from "node:timers/promises";
import { beeAdapter } from "@assured-jobs/adapter-bee";
import { createAssurance, currentJob, redisStore } from "@assured-jobs/core";
import BeeQueue from "bee-queue";
import { dyingAfter } from "@assured-jobs/dev-crew/dying";

const { url, queue: name, concurrency, settings, assurance: options, ...given } = JSON.parse(process.env.CRASH_TEST);

const tell = (message) => process.send?.(message);

const tasks = {
  /** Works for `ms`, and throws when its run is given up. */
  work: ({ ms }, signal) => sleep(ms, undefined, { signal }),
  /** Works for `ms` whatever anybody says. */
  stubborn: ({ ms }) => sleep(ms),
  /** Fails after `ms`, whatever anybody says. */
  async fail({ ms }) {
    await sleep(ms);
    throw new Error("on purpose");
  },
  /** Keeps the event loop busy for `ms`. */
  async block({ ms }) {
    for (const end = performance.now() + ms; performance.now() < end;);
  },
  /** Kills its process every time, after `ms`. */
  async poison({ ms }) {
    await sleep(ms);
    process.kill(process.pid, "SIGKILL");
    await sleep(60_000);
  },
};

async function handle(job) {
  const { signal, fencingToken: run } = currentJob() ?? {};
  tell({ type: "started", id: job.id, run });
  signal?.addEventListener("abort", () => tell({ type: "aborted", id: job.id, run, code: signal.reason?.code }));
  await tasks[job.data.task ?? "work"](job.data, signal);
  tell({ type: "returned", id: job.id, run });
  if (job.data.dieWhenReturned) setImmediate(() => process.kill(process.pid, "SIGKILL"));
  return process.pid;
}

/** The same in the other style that Bee knows. */
const handleByDone = (job, done) => void handle(job).then((result) => done(null, result), done);

const queue = new BeeQueue(name, { redis: url, isWorker: concurrency > 0, ...settings });
queue.on("error", (error) => tell({ type: "queue-error", text: String(error) }));
queue.on("succeeded", ({ id }) => tell({ type: "succeeded", id }));
queue.on("stalled", (id) => tell({ type: "stalled", id }));

const adapter = beeAdapter({ queues: [queue], ...given.adapter });
const store = redisStore({ url });
const assurance = given.bare ? undefined : createAssurance({ store, adapters: [adapter], ...options });
const EVENTS = ["instance.dead", "instance.fenced", "instance.reborn", "orphan.recovered", "orphan.buried"];
EVENTS.push("orphan.failed", "orphan.unknown-queue", "run.fenced", "duty.taken", "store.down", "store.up");
for (const event of [...EVENTS, "warning", "error"])
  assurance?.on(event, (payload) =>
    tell({ type: event, payload: JSON.parse(JSON.stringify(payload)), text: String(payload.error?.stack ?? "") }),
  );

const calls = {
  stop: (how) => assurance.stop(how),
  close: () => queue.close(),
  closeFirst: async (how) => (await queue.close(), assurance.stop(how)),
  stopFirst: async (how) => (await assurance.stop(how), queue.close()),
  recover: () => assurance.recover(),
  audit: (how) => assurance.audit(how),
  release: (request) => assurance.release(request),
  now: async () => Date.now(),
};

async function answer({ call, args = [], order }) {
  const result = await calls[call](...args).catch((error) => ({ error: String(error.stack) }));
  tell({ type: "answer", order, result });
}

function work() {
  queue.process(concurrency, given.byDone ? handleByDone : handle);
}

async function workEarly(count) {
  let left = count;
  const done = new Promise((resolve) => queue.on("succeeded", () => --left === 0 && resolve()));
  work();
  await done;
}

process.on("message", (order) => void answer(order));
if (given.early) await workEarly(given.early);
await assurance?.start({ required: true });
if (given.dieAfter !== undefined) dyingAfter(given.dieAfter, { store, adapter });
if (concurrency > 0 && !given.early) work();
if (given.checkEvery) queue.checkStalledJobs(given.checkEvery, () => {});
tell({ type: "ready", incarnation: assurance?.instance.incarnation });
