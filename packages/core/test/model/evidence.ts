/* What follows from the facts of the model: who may be declared dead and why, who is late or blocked, whose a duty is.
 *
 * The rules of docs/state-machine.md, said once more in the fewest words. Nothing here reads the store.
 */
import { PROTOCOL } from "../../src/instance.ts";
import type { DeathCause, Incarnation, InstanceRecord } from "@assured-jobs/core";
import { DUTY_TTL, processOf } from "./model.ts";
import type { Member, Model } from "./model.ts";

const MAIN_LEASES = 4;
const LATE_INTERVALS = 1.5;
const STUCK = 1_000;
const LOOKS = 2;
const CROWD = 3;

export const silenceOf = (model: Model, member: Member): number => model.observed - member.signAt;

/** So many vanished together that the path must be broken. */
export function isDistrusted({ members }: Model): boolean {
  const seen = [...members.values()].filter((member) => member.seen);
  const missed = seen.filter((member) => member.missed);
  return missed.length >= CROWD && 2 * missed.length > seen.length;
}

/** Every cause for which this one may be declared dead at this instant, `left` aside. */
export function causesOf(model: Model, incarnation: Incarnation): Set<DeathCause> {
  const causes = new Set<DeathCause>();
  const member = model.members.get(incarnation);
  if (!member) return causes;
  if (hasLapsed(model, incarnation, member)) causes.add("lapsed");
  if (!isMissed(model, incarnation, member)) return causes;
  if (model.observed - member.missed!.since >= processOf(model, incarnation).registration.grace) causes.add("absent");
  if (isReplaced(model, incarnation)) causes.add("replaced");
  return causes;
}

function hasLapsed(model: Model, incarnation: Incarnation, member: Member): boolean {
  const { registration, subscribed } = processOf(model, incarnation);
  const leases = registration.pulse === "main" && subscribed ? MAIN_LEASES : 1;
  return silenceOf(model, member) >= leases * registration.ttl;
}

function isMissed(model: Model, incarnation: Incarnation, { seen, missed }: Member): boolean {
  const { registration, subscribed } = processOf(model, incarnation);
  const trusted = registration.protocol === PROTOCOL && !isDistrusted(model);
  return trusted && seen && !subscribed && (missed?.looks ?? 0) >= LOOKS;
}

function isReplaced({ members, processes }: Model, incarnation: Incarnation): boolean {
  const nameOf = (one: Incarnation): string | undefined =>
    processes.find(({ registration }) => registration.incarnation === one)?.registration.name;
  const later = [...members.keys()].slice([...members.keys()].indexOf(incarnation) + 1);
  return later.some((other) => nameOf(other) === nameOf(incarnation));
}

/** States that may be shown for one that is registered. */
export function statesOf(model: Model, incarnation: Incarnation): InstanceRecord["state"][] {
  const member = model.members.get(incarnation)!;
  const { interval, ttl } = processOf(model, incarnation).registration;
  const silence = silenceOf(model, member);
  if (member.leaving) return ["leaving"];
  if (isStuck(member)) return ["blocked"];
  if (silence >= ttl) return ["late", "blocked"];
  const shown: InstanceRecord["state"] = silence >= LATE_INTERVALS * interval ? "late" : "alive";
  return member.blockedFor === "unsaid" ? [shown, "blocked"] : [shown];
}

/** Whether a look must list one, that is no suspect, as late or as blocked; undefined when it may be as it likes. */
export function mutenessOf(model: Model, incarnation: Incarnation): "late" | "blocked" | "both" | "none" | undefined {
  const member = model.members.get(incarnation)!;
  const { interval, ttl } = processOf(model, incarnation).registration;
  const silence = silenceOf(model, member);
  if (member.blockedFor === "unsaid") return undefined;
  const late = silence >= LATE_INTERVALS * interval && silence < ttl;
  const blocked = isStuck(member) || silence >= ttl;
  if (late && blocked) return "both";
  if (late) return "late";
  return blocked ? "blocked" : "none";
}

const isStuck = ({ blockedFor }: Member): boolean => blockedFor !== "unsaid" && blockedFor >= STUCK;

/** A duty is free, one's own, or in the hands of somebody who is visibly gone or has not looked for long. */
export function isInReach(model: Model, duty: string, by: Incarnation): boolean {
  const held = model.duties.get(duty);
  if (!held || held.holder === by || model.clock - held.lookedAt >= DUTY_TTL) return true;
  const holder = model.members.get(held.holder);
  return !holder || (holder.seen && !processOf(model, held.holder).subscribed);
}
