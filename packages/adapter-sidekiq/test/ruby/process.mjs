/* A program of a user with one worker of ours, as a process of its own: what ends processes, or blocks them, is tried here.
 * `task` is what its handlers do: they tell each start, and the end. */
import { createAssurance } from "@assured-jobs/core";
import { sidekiqAdapter, SidekiqWorker } from "@assured-jobs/adapter-sidekiq";

const {
  url,
  classes,
  task = "hold",
  assured = false,
  stopTimeout = 25_000,
  ...options
} = JSON.parse(process.env.RUBY_TEST);

const tell = (message) => process.send?.(message);

const tasks = {
  /** Until the process ends. */
  hold: () => new Promise(() => {}),
  /** The event loop stands still for the `ms` that are its last argument. */
  block: ({ args }) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, args.at(-1)),
};

async function perform(job) {
  tell({ type: "started", id: job.jid });
  await tasks[task](job);
  tell({ type: "returned", id: job.jid });
}

const worker = new SidekiqWorker({
  redis: url,
  handlers: Object.fromEntries(classes.map((name) => [name, perform])),
  stopTimeout,
  ...options,
});
worker.on("error", (error) => tell({ type: "error", text: String(error) }));
worker.on("warning", (text) => tell({ type: "warning", text }));

const assurance = assured && createAssurance({ adapters: [sidekiqAdapter({ redis: url, worker })] });

/* As the documentation advises. */
async function leave() {
  if (assurance) await assurance.stop({ timeout: stopTimeout });
  await worker.stop();
  process.exit(0);
}
process.on("SIGTERM", () => void leave());
process.on("disconnect", () => process.exit(1));

if (assurance) await assurance.start();
await worker.start();
tell({ type: "ready", id: worker.identity });
