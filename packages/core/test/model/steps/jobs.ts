/* Jobs: added, fetched and finished by whoever lives, and by zombies who do not know better.
 *
 * A run leaves its holder once: by its finish, by a requeue or by a burial. All other attempts are refused.
 */
import assert from "node:assert/strict";
import { holderOf, note, pick } from "../model.ts";
import type { Job, Model, Process } from "../model.ts";
import { step } from "../step.ts";
import type { Step } from "../step.ts";

const MOST = 4;

/** A new job. */
export function add(): Step {
  const can = ({ jobs }: Model): boolean => jobs.size < MOST;
  return step(
    "add()",
    async (model, { queue }) => {
      const id = `job-${model.jobs.size}`;
      queue.add({}, { id });
      model.jobs.set(id, { state: "waiting", run: 0, holder: "" });
    },
    can,
  );
}

/** A process fetches a job: one that is registered, or, `late`, any that once was, be it dead. */
export function fetch(who: number, late: boolean): Step {
  const fetching = (model: Model): Process | undefined =>
    pick(
      model.processes.filter((one) => one.known && !one.gone && (late || isRegistered(model, one))),
      who,
    );
  const can = (model: Model): boolean => statesIn(model).includes("waiting") && fetching(model) !== undefined;
  return step(
    `fetch(${who}, ${late})`,
    async (model, { queue }) => {
      const one = fetching(model)!;
      const { incarnation } = one.registration;
      const run = queue.fetch(holderOf(incarnation));
      assert.ok(run, "a job is waiting");
      const job = model.jobs.get(run.id)!;
      assert.deepEqual([job.state, run.run], ["waiting", job.run + 1]);
      Object.assign(job, { state: "held", run: run.run, holder: holderOf(incarnation) });
      one.runs.push(run);
      if (model.tombstones.has(incarnation)) note(model, "fetched by a dead one");
    },
    can,
  );
}

/** A process ends the oldest of the runs that it takes for its own. */
export function finish(who: number, fails: boolean): Step {
  const can = (model: Model): boolean => (pick(model.processes, who)?.runs.length ?? 0) > 0;
  return step(
    `finish(${who}, ${fails})`,
    async (model, { queue }) => {
      const run = pick(model.processes, who)!.runs.shift()!;
      const accepted = queue.end(run, fails ? new Error("failed") : undefined);
      const isOwn = isHeldAs(model, run.id, run.run, run.holder);
      assert.equal(accepted, isOwn, "a finish is accepted from the holder of the run, and from nobody else");
      if (accepted) exit(model, run.id, fails ? "failed" : "finished");
      else note(model, "refused to finish");
    },
    can,
  );
}

/** One that leaves gives back what it holds, uncharged. */
export function handOver(who: number): Step {
  const can = (model: Model): boolean => (pick(model.processes, who)?.runs.length ?? 0) > 0;
  return step(
    `handOver(${who})`,
    async (model, { queue }) => {
      const one = pick(model.processes, who)!;
      for (const run of one.runs) {
        const isOwn = isHeldAs(model, run.id, run.run, run.holder);
        assert.equal(queue.requeue(run, 0) === "requeued", isOwn, "only a run that is held can be given back");
        if (isOwn) exit(model, run.id, "waiting");
      }
      one.runs = [];
    },
    can,
  );
}

/** The run that is held leaves its holder: for this run it can happen once. */
export function exit(model: Model, id: string, to: Exclude<Job["state"], "held">): void {
  const job = model.jobs.get(id)!;
  const key = `${id} run ${job.run}`;
  assert.ok(!model.exits.has(key), `${key} left its holder before`);
  model.exits.add(key);
  job.state = to;
}

export function isHeldAs(model: Model, id: string, run: number, holder: string): boolean {
  const job = model.jobs.get(id);
  return job?.state === "held" && job.run === run && job.holder === holder;
}

const isRegistered = ({ members }: Model, { registration }: Process): boolean => members.has(registration.incarnation);
const statesIn = ({ jobs }: Model): string[] => [...jobs.values()].map(({ state }) => state);
