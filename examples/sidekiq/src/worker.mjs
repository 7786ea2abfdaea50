/* Works on jobs of Sidekiq, whoever pushed them: Ruby, Rails or push.mjs. Start several, and kill -9 one of them. */
import { setTimeout as sleep } from "node:timers/promises";
import { readActiveJob, sidekiqAdapter, SidekiqWorker } from "@assured-jobs/adapter-sidekiq";
import { createAssurance } from "@assured-jobs/core";

const redis = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";

/** @type {Record<string, import("@assured-jobs/adapter-sidekiq").SidekiqHandler>} */
const handlers = {
  // HardJob.perform_async("bob", 5)
  async HardJob(job) {
    const [name, count] = job.args;
    console.log(`working hard for ${String(name)}`);
    await sleep(1_000, undefined, { signal: job.signal }); // ends early when the job must go elsewhere
    console.log(`did ${String(count)} things for ${String(name)}`);
  },
  // ReportJob.perform_later(month: "May") of Rails, under its own name
  async ReportJob(job) {
    const report = await readActiveJob(job.payload);
    console.log(`report ${JSON.stringify(report?.arguments)}`);
  },
};

const worker = new SidekiqWorker({ redis, queues: { node: 2, reports: 1 }, handlers });
worker.on("failed", (job, error, outcome) => console.error(`${job.class} failed (${outcome}): ${String(error)}`));
worker.on("error", (error) => console.error(error));

// Gives back within about a second what a dead process had. On SIGTERM it waits for what runs, then hands over the rest.
const assurance = createAssurance({ adapters: [sidekiqAdapter({ redis, worker })], signals: true });
assurance.on("orphan.recovered", ({ orphan }) => console.log(`given back: job ${orphan.id} of ${orphan.queue}`));
assurance.on("orphan.buried", ({ orphan, reason }) => console.log(`put aside: job ${orphan.id}, ${reason}`));
await assurance.start();
await worker.start();
console.log("waiting for jobs");
