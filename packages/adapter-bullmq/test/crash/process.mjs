/* One real process of a user: a BullMQ worker, the three lines of assurance, and a wire to the test.
 *
 * `task` in a job's data says what its handler does. Everything that happens is told at once, so that what a process
 * had said before it was killed is known. */
import { setTimeout as sleep } from "node:timers/promises";
import { bullmqAdapter } from "@assured-jobs/adapter-bullmq";
import { createAssurance, currentJob, redisStore } from "@assured-jobs/core";
import { Queue, Worker } from "bullmq";
import { Cluster } from "ioredis";
import { dyingAfter } from "@assured-jobs/dev-crew/dying";

const given = JSON.parse(process.env.CRASH_TEST);
const { url, queue, worker: workerOptions, assurance: assuranceOptions, dieAfter, clockShift } = given;
const { further = [], storeUrl = url } = given;

if (clockShift) {
  const now = Date.now;
  Date.now = () => now() + clockShift;
}

const tell = (message) => process.send?.(message);
const server = given.server ?? { host: "127.0.0.1", port: Number(new URL(url).port) };
const clusterClient = () => new Cluster(given.nodes, { redisOptions: { maxRetriesPerRequest: null } });
const connection = given.nodes ? clusterClient() : { ...server, maxRetriesPerRequest: null };

const asked = new Map();

const tasks = {
  /** Works for `ms`, and throws when its run is given up. */
  async work({ ms }, signal) {
    await sleep(ms, undefined, { signal });
  },
  /** Works for `ms` whatever anybody says. */
  async stubborn({ ms }) {
    await sleep(ms);
  },
  /** Works until the test calls `end`, whatever anybody else says; a later run ends by itself. */
  async asked(_, __, { id, run }) {
    if (run === 1) await new Promise((resolve) => asked.set(id, resolve));
  },
  /** Keeps the event loop busy for `ms`. */
  async block({ ms }) {
    for (const end = performance.now() + ms; performance.now() < end;);
  },
  /** Blocks the event loop for `ms` as a slow disk would: nothing turns, and nothing is computed. */
  async wait({ ms }) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  },
  /** Kills its process every time, `after` ms. */
  async poison({ after = 0 }) {
    await sleep(after);
    process.kill(process.pid, "SIGKILL");
    await sleep(60_000);
  },
};

const atWork = new Set();

async function handle(job) {
  const { signal, fencingToken } = currentJob() ?? {};
  const run = { id: job.id, run: fencingToken };
  tell({ type: "started", ...run });
  if (atWork.has(job.id)) tell({ type: "beside-itself", ...run });
  atWork.add(job.id);
  signal?.addEventListener("abort", () => tell({ type: "aborted", ...run, code: signal.reason?.code }));
  try {
    await tasks[job.data.task ?? "work"](job.data, signal, run);
  } finally {
    atWork.delete(job.id);
  }
  tell({ type: "returned", ...run });
  return process.pid;
}

const EVENTS = ["instance.dead", "instance.fenced", "instance.reborn", "orphan.recovered", "orphan.finished"];
EVENTS.push(
  "orphan.vanished",
  "orphan.buried",
  "orphan.failed",
  "run.fenced",
  "presence.distrusted",
  "duty.taken",
  "store.down",
  "store.up",
  "warning",
  "error",
);

const workerOn = (name) => new Worker(name, handle, { connection, ...workerOptions });
const worker = workerOptions && workerOn(queue);
const others = further.map((name) => (workerOptions ? workerOn(name) : new Queue(name, { connection })));
for (const one of others) one.on("error", () => {});
const bystander = worker ?? new Queue(queue, { connection });
bystander.on("error", () => {});
worker?.on("completed", (job) => {
  tell({ type: "completed", id: job.id });
  if (job.data.dieWhenDone) process.kill(process.pid, "SIGKILL");
});

const adapter = bullmqAdapter(worker ? { workers: [worker, ...others] } : { queues: [bystander, ...others] });

function storeOf() {
  if (given.nodes) return { client: connection };
  if (given.withoutThread) return { connection: { ...server, onlyHere: () => {} } }; // a function cannot cross threads
  return given.server ? { connection: server } : { url: storeUrl };
}

const store = redisStore(storeOf());
const assurance = createAssurance({ store, adapters: [adapter], ...assuranceOptions });
for (const event of EVENTS) {
  assurance.on(event, (payload) =>
    tell({ type: event, payload: JSON.parse(JSON.stringify(payload)), text: String(payload.error?.stack ?? "") }),
  );
}

const calls = {
  stop: (options) => assurance.stop(options),
  close: () => bystander.close(),
  pause: () => bystander.pause(true),
  resume: async () => bystander.resume(),
  closeFirst: async (options) => (await bystander.close(), assurance.stop(options)),
  stopFirst: async (options) => (await assurance.stop(options), bystander.close()),
  recover: () => assurance.recover(),
  audit: (options) => assurance.audit(options),
  health: () => assurance.health(),
  end: async (...ids) => ids.forEach((id) => asked.get(id)?.()),
  now: async () => Date.now(),
  exit: () => process.exit(0),
};

async function answer({ call, args = [], order }) {
  const result = await calls[call](...args).catch((error) => ({ error: String(error.stack) }));
  tell({ type: "answer", order, result });
}

process.on("message", (order) => void answer(order));

try {
  await assurance.start({ required: given.required });
} catch (error) {
  process.send({ type: "refused", code: error.code }, () => process.exit(1));
  await new Promise(() => {});
}
if (dieAfter !== undefined) dyingAfter(dieAfter, { store, adapter });
tell({ type: "ready", incarnation: assurance.instance.incarnation });
