/* Who empties the queue: ours and its rivals, each in a process of its own that knows nothing of being measured. */
import { fileURLToPath } from "node:url";
import { ensureRuby, rubyAvailable, startSidekiq } from "@assured-jobs/dev-ruby";
import { Child } from "../child.mjs";

/**
 * @typedef {import("../queues/contract.d.ts").Where} Where
 * @typedef {{
 *   name: string,
 *   budget?: number,
 *   begin: (where: Where, concurrency: number) => Promise<{ kill(): Promise<void> }>
 * }} Contestant `budget`: ours shall do at least so many times its jobs per second
 */

/** @type {Contestant} */
export const ours = {
  name: "assured",
  begin: async (where, concurrency) => new Child("throughput/worker.mjs", { queue: "sidekiq", where, concurrency }),
};

/** @type {Contestant} */
export const brpop = {
  name: "BRPOP",
  budget: 0.8,
  begin: async (where, concurrency) => new Child("throughput/brpop.mjs", { where, concurrency }),
};

/** Sidekiq in Ruby, as far as it can be had here; `missing` says why the others cannot. */
export async function rubies() {
  /** @type {Contestant[]} */
  const found = [];
  /** @type {string[]} */
  const missing = [];
  for (const set of /** @type {const} */ (["sidekiq7", "sidekiq6"])) {
    const reason = await rubyAvailable(set);
    if (reason === undefined) found.push(await ruby(set));
    else missing.push(`${set}: ${reason}`);
  }
  return { found, missing };
}

/**
 * The gem's own program with its basic fetch.
 * @param {import("@assured-jobs/dev-ruby").SetName} set
 * @returns {Promise<Contestant>}
 */
async function ruby(set) {
  const { gems } = await ensureRuby(set);
  const env = { RUBYLIB: fileURLToPath(new URL("ruby", import.meta.url)), RUBYOPT: "-rbench" };
  return {
    name: `Ruby ${gems.sidekiq}`,
    budget: 3,
    begin: ({ url, name }, concurrency) => startSidekiq(set, { redisUrl: url, queues: [name], concurrency, env }),
  };
}
