/* Sidekiq's wire format as its users have it: SidekiqClient pushes, SidekiqWorker with default options works. */
import { sidekiqAdapter, SidekiqClient, SidekiqWorker } from "@assured-jobs/adapter-sidekiq";
import { Redis } from "ioredis";

/** Ruby knows it as well: throughput/ruby/bench_job.rb. */
const CLASS = "BenchJob";

/** @type {import("./contract.d.ts").QueueModule["openQueue"]} */
export function openQueue({ url, name }) {
  const client = new SidekiqClient({ redis: url });
  const redis = new Redis(url);
  redis.on("error", ignore);
  return {
    async add(count) {
      const jids = await client.pushBulk({ class: CLASS, queue: name, args: Array.from({ length: count }, () => []) });
      return jids.map(String);
    },
    waiting: () => redis.llen(`queue:${name}`),
    adapter: () => sidekiqAdapter({ redis: url, queues: [name] }),
    async close() {
      redis.disconnect();
      await client.close();
    },
  };
}

/** @type {import("./contract.d.ts").QueueModule["openWorker"]} */
export function openWorker({ url, name }, { concurrency, handle, completed }) {
  const worker = new SidekiqWorker({
    redis: url,
    queues: [name],
    concurrency,
    handlers: { [CLASS]: (job) => handle(job.jid) },
  });
  worker.on("error", (error) => console.error(error));
  if (completed) worker.on("completed", (job) => completed(job.jid));
  return {
    adapter: () => sidekiqAdapter({ redis: url, worker }),
    start: () => void worker.start(),
  };
}

/* Redis goes away at the end of each benchmark. */
const ignore = () => {};
