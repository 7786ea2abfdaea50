/* A step: one thing that somebody does, in the world and in the model. It fails when the world answers what the model
 * rules out. Steps are commands of fast-check, and can be played from a list: a run that failed becomes a test. */
import type { AsyncCommand } from "fast-check";
import type { Model } from "./model.ts";
import type { World } from "./world.ts";

export type Step = AsyncCommand<Model, World>;

/** What a step does to the world and the model. */
export type Act = (model: Model, world: World) => Promise<void>;

/**
 * @param text how the step is written in a list, e.g. `beat(1, 0)`
 * @param can whether somebody could do it at this moment
 */
export function step(text: string, act: Act, can: (model: Model) => boolean = () => true): Step {
  return { check: (model) => can(model), run: act, toString: () => text };
}
