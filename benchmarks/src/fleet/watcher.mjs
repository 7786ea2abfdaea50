/* One real process with default settings, which gets the duties because it is there first. Its store is the real one,
 * with a stopwatch around each look. */
import { redisStore } from "@assured-jobs/core";
import { assure } from "../assure.mjs";
import { loadQueue } from "../queues/index.mjs";
import { percentile } from "../statistics.mjs";
import { task, tell } from "../wire.mjs";

/** @type {{ queue: string, where: import("../queues/contract.d.ts").Where }} */
const { queue, where } = task();
const { openQueue } = await loadQueue(queue);

const store = redisStore({ url: where.url });
const look = store.roster.look.bind(store.roster);
/** @type {number[]} */
let times = [];
store.roster.look = async (request) => {
  const from = performance.now();
  const seen = await look(request);
  times.push(performance.now() - from);
  return seen;
};

const adapter = openQueue(where).adapter();
const assurance = await assure(adapter, { store, name: "watcher" });
assurance.on("instance.dead", ({ death }) =>
  tell({ type: "dead", incarnation: death.registration.incarnation, evidence: death.evidence }),
);

process.on("message", (/** @type {import("../child.mjs").Message} */ { type }) => {
  if (type === "begin") times = [];
  else tell({ type: "looked", looks: times.length, p50: percentile(times, 0.5), p99: percentile(times, 0.99) });
});

tell({ type: "ready", queueKey: adapter.queues[0] });
