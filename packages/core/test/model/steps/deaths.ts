/* Deaths: declared by anybody, often on what he saw long ago, or out of the blue.
 *
 * Two things are asserted of each death that need no rule of evidence to be understood: nobody dies who gave a sign of
 * life since the last look of the watch, and nobody dies who is present and within its lease.
 */
import assert from "node:assert/strict";
import type { Death, DeathCause, Suspect } from "@assured-jobs/core";
import { causesOf, silenceOf } from "../evidence.ts";
import { note, pick, processOf } from "../model.ts";
import type { Model } from "../model.ts";
import { step } from "../step.ts";
import type { Step } from "../step.ts";
import { askBoth } from "../world.ts";
import type { World } from "../world.ts";

/** Somebody acts on what some look told: by now it may be anything but true. */
export function declare(which: number): Step {
  const can = (model: Model): boolean => model.suspicions.length > 0;
  return step(`declare(${which})`, (model, world) => declareOne(model, world, pick(model.suspicions, which)!), can);
}

/** Somebody claims that a process is dead, out of the blue. */
export function accuse(who: number, cause: Exclude<DeathCause, "left">): Step {
  return step(
    `accuse(${who}, ${cause})`,
    async (model, world) => {
      const { incarnation } = pick(model.processes, who)!.registration;
      await declareOne(model, world, { incarnation, cause });
    },
    ({ processes }) => processes.length > 0,
  );
}

/** A process that leaves could not hand over everything, and says so. */
export function leaveBehind(who: number): Step {
  const can = (model: Model): boolean => pick(model.processes, who)?.gone === false;
  return step(
    `leaveBehind(${who})`,
    async (model, world) => {
      const { incarnation } = pick(model.processes, who)!.registration;
      await declareOne(model, world, { incarnation, cause: "left" });
    },
    can,
  );
}

/** Declares on both handles at once: at most one of them did it. */
export async function declareOne(model: Model, world: World, suspect: Suspect): Promise<void> {
  const { incarnation, cause } = suspect;
  const causes = causesOf(model, incarnation);
  const deaths = (await askBoth(model, world, ({ roster }) => roster.declare(suspect))).filter(
    (one) => one !== undefined,
  );
  if (!model.up) return;
  model.suspicions = model.suspicions.filter((other) => other !== suspect);
  assert.ok(deaths.length <= 1, "a death is declared once");
  if (deaths[0]) return noteDeath(model, deaths[0], cause === "left" ? new Set<DeathCause>(["left"]) : causes);
  const must = model.members.has(incarnation) && (cause === "left" || causes.has(cause));
  assert.ok(!must, `${incarnation} is dead by all evidence (${cause}), and nobody may say so`);
}

function noteDeath(model: Model, death: Death, causes: ReadonlySet<DeathCause>): void {
  const { incarnation } = death.registration;
  const member = model.members.get(incarnation);
  assert.ok(member, `${incarnation} is not registered, and was declared dead`);
  assert.ok(causes.has(death.cause), `${incarnation} died as ${death.cause}; the evidence is ${[...causes].join()}`);
  if (death.cause !== "left") assertSilent(model, incarnation);
  const { registration } = processOf(model, incarnation);
  assert.deepEqual([death.registration, death.observed, death.leaving], [registration, model.observed, member.leaving]);
  note(model, `died: ${death.cause}`);
  model.members.delete(incarnation);
  model.tombstones.add(incarnation);
  model.dead.set(incarnation, { cause: death.cause, leaving: member.leaving });
  model.died.push(incarnation);
  model.deaths++;
  model.rosterChanged = true;
}

function assertSilent(model: Model, incarnation: string): void {
  const member = model.members.get(incarnation)!;
  const { subscribed, registration } = processOf(model, incarnation);
  const silence = silenceOf(model, member);
  assert.ok(silence > 0 || member.missed, `${incarnation} gave a sign of life since the last look`);
  assert.ok(!subscribed || silence >= registration.ttl, `${incarnation} is present, and within its lease`);
  assert.ok(
    member.seen || silence >= registration.ttl,
    `${incarnation} was never seen present, and is within its lease`,
  );
}
