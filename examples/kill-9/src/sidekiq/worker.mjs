/* A worker of Sidekiq's queues. What makes its jobs survive the death of this process stands between the two lines. */
import { sidekiqAdapter, SidekiqWorker } from "@assured-jobs/adapter-sidekiq";
import { createAssurance } from "@assured-jobs/core";
import { sendEmail } from "./processor.mjs";
import { reportOn, tell } from "../report.mjs";

const redis = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";
const worker = new SidekiqWorker({
  redis,
  prefix: process.env.QUEUE_PREFIX ? `${process.env.QUEUE_PREFIX}:` : "",
  queues: ["emails"],
  concurrency: 1, // so that each kill hits one job, as with the other queues
  handlers: { SleepJob: sendEmail },
});
worker.on("error", (error) => console.error(error));
worker.on("completed", (job) => tell({ type: "completed", id: job.jid })); // Sidekiq tells no producer: only for this demo

// ------------------------------------------------------------------------------------------
const assurance = createAssurance({ adapters: [sidekiqAdapter({ redis, worker })] });
reportOn(assurance); // only for the timeline of this demo
await assurance.start();
// ------------------------------------------------------------------------------------------

await worker.start();
