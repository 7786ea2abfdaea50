/* The queues that can be measured. A module is loaded when it is asked for: no queue's library slows another's run. */

/** @type {Readonly<Record<string, () => Promise<import("./contract.d.ts").QueueModule>>>} */
const modules = {
  bee: () => import("./bee.mjs"),
  bullmq: () => import("./bullmq.mjs"),
  sidekiq: () => import("./sidekiq.mjs"),
};

export const queueNames = Object.keys(modules);

/** @param {string} name */
export function loadQueue(name) {
  const load = modules[name];
  if (!load) throw new Error(`no queue ${name}`);
  return load();
}
