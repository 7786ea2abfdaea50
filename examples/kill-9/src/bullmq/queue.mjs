/* The producer's side of BullMQ. */
import { createRequire } from "node:module";
import { Queue, QueueEvents } from "bullmq";

const { version } = createRequire(import.meta.url)("bullmq/package.json");

/** @type {import("../queue.d.mts").QueueModule} */
export const module = {
  label: `BullMQ ${version} queue`,
  name: "BullMQ",
  alone: "after 30.8 / 45.0 / 66.8 s (min / median / max of ten, see docs/benchmarks.md; --compare measures it here)",

  open({ url, prefix }, completed) {
    const connection = { url };
    const queue = new Queue("emails", { connection, prefix });
    const events = new QueueEvents("emails", { connection, prefix, lastEventId: "0-0" });
    const ignore = () => {}; // Redis goes away at the end
    queue.on("error", ignore);
    events.on("error", ignore);
    events.on("completed", ({ jobId }) => completed(jobId));
    return {
      async ready() {
        await events.waitUntilReady();
      },
      add: async (takes) => String((await queue.add("welcome", { takes })).id),
      close: async () => void (await Promise.all([queue.close(), events.close()])),
    };
  },
};
