/* The adapter for ListQueue. Each verb is one move of the queue, which compares where the job is and acts at once. */
import { randomUUID } from "node:crypto";
import { AssuranceError } from "@assured-jobs/core";
import { override } from "@assured-jobs/core/adapter-kit";

/** @typedef {import("@assured-jobs/core").QueueAdapter} QueueAdapter */

const STATES = /** @type {const} */ ({
  delayed: "waiting",
  waiting: "waiting",
  finished: "finished",
  failed: "failed",
  buried: "failed",
});

/** @param {import("./queue.mjs").ListQueue} queue @param {import("./queue.mjs").ListWorker} [worker] @returns {QueueAdapter} */
export function listAdapter(queue, worker) {
  const key = `list:${queue.name}`;
  /** @type {import("@assured-jobs/core").AdapterHost | undefined} */
  let core;
  /** @type {(() => void)[]} */
  let undo = [];

  /** What has become of a job that is not where it was expected. */
  const fate = (/** @type {string} */ found) =>
    found === "missing" ? "vanished" : found === "finished" || found === "failed" ? "finished" : "already";

  /** @param {string} action @param {string} id @param {readonly string[]} from @param {string} to */
  async function act(action, id, from, to) {
    const found = await queue.move(id, from, to);
    if (found !== "moved")
      throw new AssuranceError("ERR_ACTION_REFUSED", `Cannot ${action} job ${id}: it is ${found}.`);
  }

  return {
    name: "list",
    queues: [key],

    async attach(host) {
      core = host;
      if (!worker) return;
      /** @type {WeakMap<object, import("@assured-jobs/core").RunControl>} */
      const controls = new WeakMap();
      const runOf = (/** @type {import("./queue.mjs").Job} */ { id, run, proof }) => ({ queue: key, id, run, proof });
      undo = [
        override(
          worker,
          "run",
          (original) => (job) =>
            host.run(runOf(job), (control) => (controls.set(job, control), original.call(worker, job))),
        ),
        override(worker, "end", (original) => async (job, outcome) => {
          const reason = controls.get(job)?.givenUp;
          const isHandover = reason instanceof AssuranceError && reason.code === "ERR_HANDOVER";
          const found = await original.call(
            worker,
            job,
            reason && outcome === "failed" && isHandover ? "waiting" : outcome,
          );
          if (found !== "moved") host.lost(runOf(job), `it is ${found}`);
          return found;
        }),
      ];
    },
    async detach() {
      for (const one of undo.splice(0)) one();
    },
    holders: () => (worker ? [worker.holder] : []),
    async pause() {
      if (worker) worker.paused = true;
      await worker?.fetching; // what it brought is a run by now
    },
    async resume({ renew }) {
      if (!worker) return;
      if (renew) worker.holder = randomUUID();
      await core?.changed();
      worker.paused = false;
    },

    async heldBy(_queue, dead) {
      const graves = new Map(dead.flatMap(({ incarnation, ids }) => ids.map((id) => [id, incarnation])));
      return Object.entries(await queue.states()).flatMap(([id, proof]) => {
        const [, holder, run] = /^held:(.*):(\d+)$/.exec(proof) ?? [];
        const incarnation = graves.get(holder ?? "");
        return incarnation ? [{ queue: key, id, run: Number(run), proof, holder: incarnation }] : [];
      });
    },
    async requeue({ id, proof }, { delay }) {
      const found = await queue.move(id, [proof], delay > 0 ? "delayed" : "waiting", delay);
      return found === "moved" ? "requeued" : fate(found);
    },
    async bury({ id, proof }) {
      const found = await queue.move(id, [proof], "buried");
      return found === "moved" ? "buried" : fate(found);
    },
    async state(_queue, id) {
      const found = (await queue.states())[id] ?? "missing";
      return found.startsWith("held:") ? "held" : (STATES[/** @type {keyof typeof STATES} */ (found)] ?? "missing");
    },
    promote: async (_queue, id) => void (await queue.move(id, ["delayed"], "waiting")),
    retry: (_queue, id) => act("retry", id, ["failed", "buried"], "waiting"),
    discard: (_queue, id) => act("discard", id, ["waiting", "delayed", "finished", "failed", "buried"], "gone"),
    release: (_queue, id) => act("release", id, ["buried"], "waiting"),
    audit: async () => [], // a job is in one state by construction: there is nothing that could not add up
  };
}
