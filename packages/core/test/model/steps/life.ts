/* What a process does about its own life: boot, register, beat, be present, vanish, leave, retire, be born again.
 *
 * Whoever has a tombstone is refused, whatever it tries and however late it comes: each step says so in one line.
 */
import assert from "node:assert/strict";
import type { Incarnation, Registration } from "@assured-jobs/core";
import { PROTOCOL } from "../../../src/instance.ts";
import { forgetClaims } from "./claims.ts";
import { holderOf, INTERVAL, note, pick, QUEUE, TTL } from "../model.ts";
import type { Model, Process } from "../model.ts";
import { step } from "../step.ts";
import type { Step } from "../step.ts";
import { ask, DOWN } from "../world.ts";
import type { World } from "../world.ts";

export interface Nature {
  readonly name: "red" | "blue";
  readonly pulse: Registration["pulse"];
  readonly grace: number;
  /** Speaks a protocol that this version does not know. */
  readonly foreign: boolean;
}

const MOST = 12;

/** A new process; it registers, becomes present, and registers again, as a pulse does. */
export function boot(nature: Nature): Step {
  return step(
    `boot(${JSON.stringify(nature)})`,
    async (model, world) => void (await bootOne(model, world, nature)),
    hasRoom,
  );
}

/** Registers, or renews its registration. */
export function register(who: number): Step {
  return ofProcess("register", who, registerOne);
}

/** Beats, and tells for how long its event loop has been stuck. */
export function beat(who: number, blockedFor: number): Step {
  return ofProcess(`beat, stuck for ${blockedFor}`, who, (model, world, one) =>
    beatOnce(model, world, one, blockedFor),
  );
}

/** Opens its subscription. */
export function appear(who: number): Step {
  const can = (model: Model): boolean => model.up && pick(model.processes, who)?.gone === false;
  return step(`appear(${who})`, (model, world) => appearOne(model, world, pick(model.processes, who)!), can);
}

/** Its subscription closes: the process, or its path, broke. */
export function vanish(who: number): Step {
  const can = (model: Model): boolean => pick(model.processes, who)?.subscribed === true;
  return step(`vanish(${who})`, (model, world) => vanishOne(world, pick(model.processes, who)!), can);
}

/** Begins to retire. */
export function leave(who: number): Step {
  return ofProcess("leave", who, async (model, world, { registration: { incarnation } }) => {
    if ((await ask(model, world, ({ roster }) => roster.leave(incarnation))) === DOWN) return;
    const member = model.members.get(incarnation);
    if (member) member.leaving = true;
  });
}

/** Ends cleanly. Only one that holds nothing does so, and nothing of it is on its way. */
export function retire(who: number): Step {
  const can = (model: Model): boolean => {
    const one = pick(model.processes, who);
    return model.up && one !== undefined && !one.gone && holdsNothing(model, one);
  };
  return step(`retire(${who})`, (model, world) => retireOne(model, world, pick(model.processes, who)!), can);
}

/** One that learns that it was fenced gives up all runs and comes back as another incarnation. */
export function rebirth(who: number): Step {
  const fenced = (model: Model): Process[] => model.processes.filter((one) => isFenced(model, one));
  return step(
    `rebirth(${who})`,
    async (model, world) => {
      const former = pick(fenced(model), who)!;
      former.runs = [];
      if (former.subscribed) await vanishOne(world, former);
      const { name, pulse, grace, protocol } = former.registration;
      note(model, "rebirth");
      await bootOne(model, world, { name: name as Nature["name"], pulse, grace, foreign: protocol !== PROTOCOL });
    },
    (model) => fenced(model).length > 0 && hasRoom(model),
  );
}

export async function bootOne(model: Model, world: World, nature: Nature): Promise<Process> {
  const one = newProcess(nature, model.processes.length);
  model.processes.push(one);
  await registerOne(model, world, one);
  if (model.up) await appearOne(model, world, one);
  await registerOne(model, world, one);
  return one;
}

export async function registerOne(model: Model, world: World, one: Process): Promise<void> {
  const { registration } = one;
  const reply = await ask(model, world, ({ roster }) => roster.register(registration));
  if (reply === DOWN) return;
  const { incarnation } = registration;
  assert.equal(reply.fenced, model.tombstones.has(incarnation), "a tombstone, and nothing else, refuses");
  if (reply.fenced) return note(model, "refused to register");
  one.known = true;
  assert.deepEqual(reply.siblings.toSorted(), siblingsOf(model, registration), "siblings that are present");
  const former = model.members.get(incarnation);
  model.members.set(incarnation, {
    signAt: model.observed,
    blockedFor: former && former.blockedFor !== 0 ? "unsaid" : 0,
    leaving: former?.leaving ?? false,
    seen: one.subscribed || (former?.seen ?? false),
    missed: undefined,
  });
  model.rosterChanged = true;
}

export async function beatOnce(model: Model, world: World, one: Process, blockedFor: number): Promise<void> {
  const { incarnation, ttl, interval } = one.registration;
  const reply = await ask(model, world, ({ roster }) => roster.beat({ incarnation, ttl, interval, blockedFor }));
  if (reply === DOWN) return;
  const member = model.members.get(incarnation);
  const fenced = model.tombstones.has(incarnation);
  assert.equal(reply, fenced ? "fenced" : member ? "alive" : "unknown");
  if (fenced) note(model, "refused to beat");
  if (!member) return;
  Object.assign(member, { signAt: model.observed, blockedFor, missed: undefined });
}

export async function vanishOne(world: World, one: Process): Promise<void> {
  await world.server.unsubscribe(one.registration.incarnation);
  one.subscribed = false;
}

async function appearOne(_model: Model, world: World, one: Process): Promise<void> {
  if (one.subscribed) return;
  await world.server.subscribe(one.registration.incarnation);
  one.subscribed = true;
}

async function retireOne(model: Model, world: World, one: Process): Promise<void> {
  const { incarnation } = one.registration;
  await ask(model, world, ({ roster }) => roster.retire(incarnation));
  const registered = model.members.delete(incarnation);
  if (registered) model.retired.push(incarnation);
  else if (!model.tombstones.has(incarnation)) model.strangers.push(incarnation);
  if (registered || !model.tombstones.has(incarnation)) forgetClaims(model, incarnation);
  model.rosterChanged = registered ? true : "perhaps";
  model.tombstones.add(incarnation);
  one.gone = true;
  note(model, "retired");
  if (one.subscribed) await vanishOne(world, one);
}

function newProcess({ name, pulse, grace, foreign }: Nature, index: number): Process {
  const incarnation = `${name}.${index}`;
  const registration: Registration = {
    incarnation,
    name,
    host: "host",
    pid: index,
    startedAt: 0,
    protocol: foreign ? PROTOCOL + 1 : PROTOCOL,
    ttl: TTL,
    interval: INTERVAL,
    grace,
    pulse,
    holders: { [QUEUE]: [holderOf(incarnation)] },
  };
  return { registration, subscribed: false, known: false, gone: false, runs: [] };
}

function siblingsOf(model: Model, { name, incarnation }: Registration): Incarnation[] {
  const others = model.processes.filter(({ registration }) => registration.name === name);
  return others
    .filter((other) => other.subscribed && model.members.has(other.registration.incarnation))
    .map(({ registration }) => registration.incarnation)
    .filter((other) => other !== incarnation)
    .toSorted();
}

function ofProcess(what: string, who: number, act: (model: Model, world: World, one: Process) => Promise<void>): Step {
  const can = (model: Model): boolean => pick(model.processes, who)?.gone === false;
  return step(`${what}(${who})`, (model, world) => act(model, world, pick(model.processes, who)!), can);
}

const hasRoom = (model: Model): boolean => model.processes.length < MOST;

const isFenced = (model: Model, { registration, gone }: Process): boolean =>
  !gone && model.tombstones.has(registration.incarnation);

function holdsNothing(model: Model, { registration: { incarnation } }: Process): boolean {
  return [...model.jobs.values()].every(({ state, holder }) => state !== "held" || holder !== holderOf(incarnation));
}
