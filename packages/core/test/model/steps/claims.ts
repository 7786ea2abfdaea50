/* Claims: what a process says that it runs. Refused from everybody who is not registered, so that a late write brings
 * nothing back; and never a reason to give a job away. */
import assert from "node:assert/strict";
import type { Claim, Incarnation } from "@assured-jobs/core";
import { note, pick, QUEUE } from "../model.ts";
import type { Model } from "../model.ts";
import { step } from "../step.ts";
import type { Step } from "../step.ts";
import { ask, DOWN } from "../world.ts";

/** Claims the newest of its runs, or takes the claim of it back. */
export function claim(who: number, change: "add" | "remove"): Step {
  const can = (model: Model): boolean => {
    const one = pick(model.processes, who);
    return one !== undefined && !one.gone && one.runs.length > 0;
  };
  return step(
    `${change} claim(${who})`,
    async (model, world) => {
      const { registration, runs } = pick(model.processes, who)!;
      const { incarnation } = registration;
      const { id, run, proof } = runs.at(-1)!;
      const one: Claim = { queue: QUEUE, id, run, proof, since: 0 };
      const lists = change === "add" ? { add: [one], remove: [] } : { add: [], remove: [one] };
      const accepted = await ask(model, world, ({ ledger }) => ledger.claim(incarnation, lists));
      if (accepted === DOWN) return;
      assert.equal(accepted, model.members.has(incarnation), "only who is registered may claim");
      if (!accepted) return note(model, "refused to claim");
      const key = claimKey(incarnation, id);
      if (change === "add") model.claims.set(key, run);
      else if (model.claims.get(key) === run) model.claims.delete(key);
    },
    can,
  );
}

export const claimKey = (holder: Incarnation, id: string): string => `${holder} ${id}`;

export function forgetClaims(model: Model, holder: Incarnation): void {
  for (const key of model.claims.keys()) if (key.startsWith(`${holder} `)) model.claims.delete(key);
}
