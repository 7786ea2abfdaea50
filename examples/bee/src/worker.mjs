/* Two queues of one process, in both styles of handlers that Bee knows. Start several, and kill -9 one of them. */
import BeeQueue from "bee-queue";
import { setTimeout as sleep } from "node:timers/promises";
import { beeAdapter } from "@assured-jobs/adapter-bee";
import { createAssurance, currentJob } from "@assured-jobs/core";

const redis = /** @type {never} */ (process.env.REDIS_URL ?? "redis://127.0.0.1:6379"); // a URL is fine for Bee, not for its types
const emails = new BeeQueue("emails", { redis, removeOnSuccess: true });
const thumbnails = new BeeQueue("thumbnails", { redis, activateDelayedJobs: true });
for (const queue of [emails, thumbnails]) queue.on("error", (error) => console.error(error.message));

// What is new. Before process(), so that no job is fetched without an owner.
const assurance = createAssurance({ adapters: [beeAdapter({ queues: [emails, thumbnails] })], signals: true });
assurance.on("orphan.recovered", ({ orphan }) => console.log(`given back: job ${orphan.id} of ${orphan.queue}`));
assurance.on("orphan.buried", ({ orphan, reason }) => console.log(`put aside: job ${orphan.id}, ${reason}`));
await assurance.start();

emails.process(10, async (job) => {
  console.log(`sending to ${job.data.to}`);
  await sleep(1_000, undefined, { signal: currentJob()?.signal }); // ends early when the job must go elsewhere
  return `sent to ${job.data.to}`;
});

/** @type {(job: BeeQueue.Job<{ image: string }>, done: BeeQueue.DoneCallback<string>) => void} */
const makeThumbnail = (job, done) => {
  setTimeout(() => done(null, `made of ${job.data.image}`), 500);
};
thumbnails.process(2, makeThumbnail);
