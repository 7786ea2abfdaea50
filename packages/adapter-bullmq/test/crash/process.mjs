/* One real process of a user: a BullMQ worker, the three lines of assurance, and a wire to the test.
 *
 * `task` in a job's data says what its handler does. Everything that happens is told at once, so that what a process
 * had said before it was killed is known. */
import { setTimeout as sleep } from "node:timers/promises";
import { bullmqAdapter } from "@assured-jobs/adapter-bullmq";
import { createAssurance, currentJob, redisStore } from "@assured-jobs/core";
import { Queue, Worker } from "bullmq";
import { dyingAfter } from "./dying.mjs";

const given = JSON.parse(process.env.CRASH_TEST);
const { url, queue, worker: workerOptions, assurance: assuranceOptions, dieAfter, clockShift } = given;

if (clockShift) {
  const now = Date.now;
  Date.now = () => now() + clockShift;
}

const tell = (message) => process.send?.(message);
const connection = { host: "127.0.0.1", port: Number(new URL(url).port), maxRetriesPerRequest: null };

const tasks = {
  /** Works for `ms`, and throws when its run is given up. */
  async work({ ms }, signal) {
    await sleep(ms, undefined, { signal });
  },
  /** Works for `ms` whatever anybody says. */
  async stubborn({ ms }) {
    await sleep(ms);
  },
  /** Keeps the event loop busy for `ms`. */
  async block({ ms }) {
    for (const end = performance.now() + ms; performance.now() < end;);
  },
  /** Kills its process every time. */
  async poison() {
    process.kill(process.pid, "SIGKILL");
    await sleep(60_000);
  },
};

async function handle(job) {
  const { signal, fencingToken } = currentJob() ?? {};
  const run = { id: job.id, run: fencingToken };
  tell({ type: "started", ...run });
  signal?.addEventListener("abort", () => tell({ type: "aborted", ...run, code: signal.reason?.code }));
  await tasks[job.data.task ?? "work"](job.data, signal);
  tell({ type: "returned", ...run });
  return process.pid;
}

const EVENTS = ["instance.dead", "instance.fenced", "instance.reborn", "orphan.recovered", "orphan.finished"];
EVENTS.push(
  "orphan.vanished",
  "orphan.buried",
  "orphan.failed",
  "duty.taken",
  "store.down",
  "store.up",
  "warning",
  "error",
);

const worker = workerOptions && new Worker(queue, handle, { connection, ...workerOptions });
const bystander = worker ?? new Queue(queue, { connection });
bystander.on("error", () => {});
worker?.on("completed", (job) => {
  tell({ type: "completed", id: job.id });
  if (job.data.dieWhenDone) process.kill(process.pid, "SIGKILL");
});

const adapter = bullmqAdapter(worker ? { workers: [worker] } : { queues: [bystander] });
const store = redisStore({ url });
const assurance = createAssurance({ store, adapters: [adapter], ...assuranceOptions });
for (const event of EVENTS) {
  assurance.on(event, (payload) =>
    tell({ type: event, payload: JSON.parse(JSON.stringify(payload)), text: String(payload.error?.stack ?? "") }),
  );
}

const calls = {
  stop: (options) => assurance.stop(options),
  close: () => bystander.close(),
  closeFirst: async (options) => (await bystander.close(), assurance.stop(options)),
  stopFirst: async (options) => (await assurance.stop(options), bystander.close()),
  recover: () => assurance.recover(),
  audit: (options) => assurance.audit(options),
  health: () => assurance.health(),
  exit: () => process.exit(0),
};

async function answer({ call, args = [], order }) {
  const result = await calls[call](...args).catch((error) => ({ error: String(error.stack) }));
  tell({ type: "answer", order, result });
}

process.on("message", (order) => void answer(order));

await assurance.start();
if (dieAfter !== undefined) dyingAfter(dieAfter, { store, adapter });
tell({ type: "ready", incarnation: assurance.instance.incarnation });
