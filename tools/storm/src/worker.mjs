/* One worker process of the storm: a plain worker of the queue and the three lines of assurance, as a user writes them.
 * What it does is in its diary before it does the next thing; the conductor only hears how it is. */
import { createAssurance, currentJob, redisStore } from "@assured-jobs/core";
import { Diary } from "./diary.mjs";
import { fails, perform } from "./work.mjs";

/** @typedef {import("./messages.d.mts").Told} Told */

/** How often the load is told, ms. */
const TELL_EVERY = 20;

/** @type {import("./messages.d.mts").Orders} */
const orders = JSON.parse(process.env["STORM_ORDERS"] ?? "");
const { openWorker } = /** @type {import("./queues/contract.d.mts").QueueModule} */ (await import(orders.module));
const diary = new Diary(orders.diary);
let held = 0;

const tell = (/** @type {Told} */ message) => process.send?.(message, undefined, undefined, () => {});

const worker = openWorker({
  ...orders,
  handle,
  accepted: (job, run) => diary.write({ what: "accepted", job, run }),
  trouble: (text) => tell({ type: "trouble", text }),
});
const assurance = orders.bare ? undefined : assure();

process.on("message", (order) => void leave(/** @type {import("./messages.d.mts").Leave} */ (order)));
process.on("disconnect", () => process.exit()); // the conductor is gone, however it ended
if (orders.bare) process.once("SIGTERM", () => void worker.close().then(() => process.exit(143)));

await assurance?.start();
await worker.start();
tell({ type: "ready", incarnation: assurance?.instance.incarnation });
reportLoad();

/** @param {import("./queues/contract.d.mts").StormRun} run */
async function handle({ job, run, attempt, task }) {
  const { signal, fencingToken } = currentJob() ?? {};
  diary.write({ what: "started", job, run, attempt, ...(fencingToken === undefined ? {} : { token: fencingToken }) });
  held++;
  try {
    await perform(task, signal);
    if (fails(task, attempt)) throw new Error(JSON.stringify({ process: orders.process, run }));
    diary.write({ what: "returned", job, run });
    return { process: orders.process, run };
  } catch (error) {
    diary.write({ what: signal?.aborted ? "gave up" : "threw", job, run });
    throw error;
  } finally {
    held--;
  }
}

function assure() {
  const assured = createAssurance({
    store: redisStore({ url: orders.url }),
    adapters: [worker.adapter],
    name: orders.name,
    signals: true,
    ...orders.settings,
  });
  assured.on("instance.fenced", () => tell({ type: "fenced" }));
  assured.on("instance.reborn", ({ incarnation }) => tell({ type: "reborn", incarnation }));
  assured.on("orphan.failed", ({ orphan, error }) =>
    tell({ type: "trouble", text: `orphan ${orphan.id}: ${String(error)}` }),
  );
  assured.on("warning", ({ message }) => tell({ type: "trouble", text: message }));
  assured.on("error", ({ during, error }) => tell({ type: "trouble", text: `${during}: ${String(error)}` }));
  return assured;
}

/** @param {import("./messages.d.mts").Leave} order */
async function leave({ how, timeout }) {
  if (how === "closeFirst") await worker.close();
  await assurance?.stop({ timeout });
  if (how === "stopFirst") await worker.close();
  process.exit(0);
}

function reportLoad() {
  let told = 0;
  const timer = setInterval(() => {
    if (held === told) return;
    told = held;
    tell({ type: "load", held });
  }, TELL_EVERY);
  timer.unref();
}
