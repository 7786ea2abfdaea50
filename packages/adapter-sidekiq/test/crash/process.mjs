/* One real process of a user: a SidekiqWorker with its handler, the lines of assurance, and a wire to the test.
 *
 * `task` in a job's argument says what its handler does. Everything that happens is told at once, so that what a process
 * had said before it was killed is known. */
import { setTimeout as sleep } from "node:timers/promises";
import { sidekiqAdapter, SidekiqWorker } from "@assured-jobs/adapter-sidekiq";
import { createAssurance, currentJob, redisStore } from "@assured-jobs/core";
import { dyingAfter } from "@assured-jobs/dev-crew/dying";

const {
  url,
  storeUrl = url,
  prefix,
  queues,
  concurrency,
  assurance: options,
  ...given
} = JSON.parse(process.env.CRASH_TEST);

if (given.clockShift) {
  const now = Date.now;
  Date.now = () => now() + given.clockShift;
}

const tell = (message) => process.send?.(message, undefined, undefined, () => {});

const asked = new Map();

const tasks = {
  /** Works for `ms`, and throws when its run is given up. */
  work: ({ ms }, signal) => sleep(ms, undefined, { signal }),
  /** Works for `ms` whatever anybody says. */
  stubborn: ({ ms }) => sleep(ms),
  /** Works until the test calls `end`, whatever anybody says. */
  asked: (_, __, jid) => new Promise((resolve) => asked.set(jid, resolve)),
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

const atWork = new Set();

async function perform({ jid: id, args: [data = {}], signal, fencingToken: run }) {
  if (!data.silent) tell({ type: "started", id, run, token: currentJob()?.fencingToken });
  if (atWork.has(id)) tell({ type: "beside-itself", id, run });
  atWork.add(id);
  if (!data.silent)
    signal.addEventListener("abort", () => tell({ type: "aborted", id, run, code: signal.reason?.code }));
  try {
    await tasks[data.task ?? "work"](data, signal, id);
  } finally {
    atWork.delete(id);
  }
  tell({ type: "returned", id, run });
  if (data.dieWhenReturned) setImmediate(() => process.kill(process.pid, "SIGKILL"));
}

/** The same as the Ruby class of that name in dev-ruby. */
const SleepJob = ({ args: [seconds], signal }) => sleep(1_000 * seconds, undefined, { signal });

const dieWhenDone = ({ args: [data] }) => data?.dieWhenDone && process.kill(process.pid, "SIGKILL");

const worker =
  concurrency > 0
    ? new SidekiqWorker({
        redis: url,
        prefix,
        queues,
        concurrency,
        handlers: { Job: perform, SleepJob },
        ...given.worker,
      })
    : undefined;
worker
  ?.on("completed", (job) => (tell({ type: "completed", id: job.jid }), dieWhenDone(job)))
  .on("failed", ({ jid }, _, outcome) => tell({ type: "failed", id: jid, outcome }))
  .on("refused", ({ jid, reason }) => tell({ type: "refused", id: jid, reason }))
  .on("warning", (text) => tell({ type: "worker-warning", text }))
  .on("error", (error) => tell({ type: "worker-error", text: String(error) }));

const adapter = given.bare
  ? undefined
  : sidekiqAdapter({ redis: url, prefix, queues, ...(worker && { worker }), ...given.adapter });
const store = redisStore({ url: storeUrl });
const assurance = adapter && createAssurance({ store, adapters: [adapter], ...options });
const EVENTS = [
  "instance.dead",
  "instance.fenced",
  "instance.reborn",
  "orphan.recovered",
  "orphan.buried",
  "orphan.vanished",
];
for (const event of [...EVENTS, "orphan.finished", "orphan.failed", "run.fenced", "duty.taken", "warning", "error"])
  assurance?.on(event, (payload) =>
    tell({ type: event, payload: JSON.parse(JSON.stringify(payload)), text: String(payload.error?.stack ?? "") }),
  );

const calls = {
  stop: (how) => assurance.stop(how),
  close: (how) => worker.stop(how),
  closeFirst: async (how) => (await worker.stop(how), assurance.stop(how)),
  stopFirst: async (how) => {
    const report = await assurance.stop(how);
    await worker.stop(how);
    return report;
  },
  recover: () => assurance.recover(),
  audit: (how) => assurance.audit(how),
  release: (request) => assurance.release(request),
  end: async (...ids) => ids.forEach((id) => asked.get(id)?.()),
};

async function answer({ call, args = [], order }) {
  const result = await calls[call](...args).catch((error) => ({ error: String(error.stack) }));
  tell({ type: "answer", order, result });
}

process.on("message", (order) => void answer(order));
await assurance?.start({ required: true });
if (given.dieAfter !== undefined) dyingAfter(given.dieAfter, { store, adapter });
await worker?.start();
tell({ type: "ready", incarnation: assurance?.instance.incarnation, identity: worker?.identity });
