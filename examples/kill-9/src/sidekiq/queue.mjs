/* The producer's side of Sidekiq. It hears nothing of what becomes of its jobs: the workers tell the demo. */
import { SidekiqClient } from "@assured-jobs/adapter-sidekiq";
import { rubyAvailable } from "@assured-jobs/dev-ruby";
import { RUBY_SET } from "./ruby-set.mjs";

/** @type {import("../queue.d.mts").QueueModule} */
export const module = {
  label: "queue in Sidekiq's wire format, one job at a time",
  name: "Sidekiq",
  alone: "lost, as nobody but the process had it; Ruby's sidekiq-assured-jobs: after 305 s, or never",

  async prepare() {
    const reason = await rubyAvailable(RUBY_SET);
    if (reason !== undefined) throw new Error(`--compare needs Sidekiq in Ruby. ${reason}`);
  },

  open({ url, prefix }) {
    const client = new SidekiqClient({ redis: url, prefix: `${prefix}:` });
    return {
      ready: async () => {},
      // A class that dev-ruby has as well, for --compare.
      add: async (takes) => String(await client.push({ class: "SleepJob", queue: "emails", args: [takes / 1_000] })),
      close: () => client.close(),
    };
  },
};
