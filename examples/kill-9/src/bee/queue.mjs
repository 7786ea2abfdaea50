/* The producer's side of Bee-Queue. */
import { createRequire } from "node:module";
import BeeQueue from "bee-queue";

const { version } = createRequire(import.meta.url)("bee-queue/package.json");

/** @type {import("../queue.d.mts").QueueModule} */
export const module = {
  label: `Bee-Queue ${version} queue`,
  name: "Bee-Queue",
  alone: "never, unless somebody calls checkStalledJobs() twice (--compare waits for 90 s here)",

  open({ url, prefix }, completed) {
    const redis = /** @type {never} */ (url); // Bee's types ask for options or a client
    const queue = new BeeQueue("emails", { redis, prefix, isWorker: false });
    queue.on("error", () => {}); // Redis goes away at the end
    queue.on("job succeeded", (id) => completed(id));
    return {
      ready: async () => void (await queue.ready()),
      add: async (takes) => (await queue.createJob({ takes }).save()).id,
      close: () => queue.close(),
    };
  },
};
