/* A producer like any other: assurance is the workers' business. */
import BeeQueue from "bee-queue";

const redis = /** @type {never} */ (process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
const settings = { redis, isWorker: false };
const emails = new BeeQueue("emails", settings);
const thumbnails = new BeeQueue("thumbnails", settings);
await Promise.all([emails.ready(), thumbnails.ready()]);

let left = 2;
for (const queue of [emails, thumbnails])
  queue.on("job succeeded", (id, result) => {
    console.log(`job ${id}: ${String(result)}`);
    if (--left === 0) void Promise.all([emails.close(), thumbnails.close()]);
  });

await emails.createJob({ to: "ada@example.org" }).retries(3).backoff("fixed", 1_000).save();
await thumbnails.createJob({ image: "ada.png" }).timeout(10_000).save();
