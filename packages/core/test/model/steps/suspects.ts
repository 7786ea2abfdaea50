/* Suspects of the crash budget: who died together, and that one of them is out at a time. The only file that knows how
 * they are admitted and dismissed. */
import assert from "node:assert/strict";
import type { Orphan } from "@assured-jobs/core";
import { note, OTHER, pick, QUEUE } from "../model.ts";
import type { Model } from "../model.ts";
import { step } from "../step.ts";
import type { Step } from "../step.ts";
import { ask, DOWN } from "../world.ts";
import type { World } from "../world.ts";

const QUEUES: readonly string[] = [QUEUE, OTHER];
const hasJobs = ({ jobs }: Model): boolean => jobs.size > 0;

/** A suspect of one of two queues wants to be let out, where processes serve one of them or both. */
export function admit(which: number, queue: string, shared: boolean): Step {
  return step(
    `admit(${which}, ${queue}, ${shared})`,
    async (model, world) => {
      const id = pick([...model.jobs.keys()], which)!;
      const beside = shared ? QUEUES.filter((other) => other !== queue) : [];
      const isOut = await ask(model, world, ({ casebook }) => casebook.admit(queue, id, beside));
      if (isOut === DOWN) return;
      const others = [queue, ...beside].filter((one) => isTaken(model, one, { queue, id }));
      assert.equal(isOut, others.length === 0, "of those who may share a process one is out at a time");
      const own = model.suspects.get(queue)!;
      own.parked.delete(id);
      if (own.out === id) own.out = undefined;
      if (isOut) own.out = id;
      else own.parked.add(id);
      note(model, isOut ? "let out" : "parked");
    },
    hasJobs,
  );
}

export function dismiss(which: number, queue: string): Step {
  return step(
    `dismiss(${which}, ${queue})`,
    async (model, world) => {
      const id = pick([...model.jobs.keys()], which)!;
      if ((await ask(model, world, ({ casebook }) => casebook.dismiss(queue, id))) === DOWN) return;
      const own = model.suspects.get(queue)!;
      own.parked.delete(id);
      if (own.out === id) own.out = undefined;
    },
    hasJobs,
  );
}

/** A job that was charged with a death, and not for the first time, is one of those who may have caused it. */
export function noteCompany(model: Model, { id, holder }: Orphan): void {
  if ((model.charged.get(id)?.size ?? 0) < 2) return;
  model.companies.set(holder, (model.companies.get(holder) ?? new Set()).add(id));
}

export async function checkSuspects(model: Model, world: World): Promise<void> {
  const { casebook } = world.server.stores[0];
  for (const [queue, { out, parked }] of model.suspects) {
    const all = await casebook.suspects(queue);
    const inState = (state: string): string[] => all.filter((one) => one.state === state).map(({ id }) => id);
    assert.deepEqual(inState("out"), out === undefined ? [] : [out], "one suspect of a queue is out at a time");
    assert.deepEqual(inState("parked").toSorted(), [...parked].toSorted(), "the others wait");
  }
  for (const [holder, suspects] of model.companies)
    assert.equal((await casebook.company(holder)).suspects, suspects.size, `who died with ${holder}`);
}

const isTaken = (
  { suspects }: Model,
  queue: string,
  self: { readonly queue: string; readonly id: string },
): boolean => {
  const { out } = suspects.get(queue)!;
  return out !== undefined && (queue !== self.queue || out !== self.id);
};
