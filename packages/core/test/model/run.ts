/* A run: a fleet at work, then steps, after each of which every invariant must hold, then the end of everybody. */
import fc from "fast-check";
import { memoryAdapter, memoryQueue } from "@assured-jobs/core/testing";
import { endAll } from "./ending.ts";
import { checkInvariants } from "./invariants.ts";
import { GRACE, newModel } from "./model.ts";
import type { Model } from "./model.ts";
import type { Step } from "./step.ts";
import { add, fetch } from "./steps/jobs.ts";
import { boot } from "./steps/life.ts";
import { look } from "./steps/watch.ts";
import type { Server, World } from "./world.ts";

/** Two of one name, two of another; one beats from its main loop. Three jobs, of which two run. */
const OPENING: readonly Step[] = [
  boot({ name: "red", pulse: "thread", grace: 4 * GRACE, foreign: false }),
  boot({ name: "red", pulse: "thread", grace: GRACE, foreign: false }),
  boot({ name: "blue", pulse: "thread", grace: 0, foreign: false }),
  boot({ name: "blue", pulse: "main", grace: GRACE, foreign: false }),
  add(),
  add(),
  add(),
  fetch(0, false),
  fetch(1, false),
  look(2, 0),
];

/** Random steps on a fleet at work, until the end. */
export async function runPlan(server: Server, plan: Iterable<Step>, reached: Map<string, number>): Promise<void> {
  const model = newModel(reached);
  const world = worldOn(server);
  await playAll(model, world, OPENING);
  await fc.asyncModelRun(() => ({ model, real: world }), plan);
  await endAll(model, world);
}

/** A list of steps on a fleet at work, until the end; one that cannot be taken is an error. */
export async function play(server: Server, steps: readonly Step[]): Promise<void> {
  const model = newModel(new Map());
  const world = worldOn(server);
  await playAll(model, world, [...OPENING, ...steps]);
  await endAll(model, world);
}

/** The step, and every invariant after it. */
export function checked(one: Step): Step {
  return {
    check: (model) => one.check(model),
    run: async (model, world) => {
      await one.run(model, world);
      await checkInvariants(model, world);
    },
    toString: () => String(one),
  };
}

async function playAll(model: Model, world: World, steps: readonly Step[]): Promise<void> {
  for (const one of steps.map(checked)) {
    if (!one.check(model)) throw new Error(`nobody can do this now: ${String(one)}`);
    await one.run(model, world);
  }
}

function worldOn(server: Server): World {
  const queue = memoryQueue();
  return { server, queue, adapter: memoryAdapter({ queue }) };
}
