/* The watch: looks by several processes. Duties in reach are taken, and the one on watch alone moves observed time, by two
 * intervals at the most, and sees who is a suspect: exactly those against whom there is evidence. */
import assert from "node:assert/strict";
import type { Look } from "@assured-jobs/core";
import { causesOf, isDistrusted, isInReach, mutenessOf } from "../evidence.ts";
import { DUTIES, DUTY_TTL, holderOf, INTERVAL, note, pick, processOf, WATCH } from "../model.ts";
import type { Model, Process } from "../model.ts";
import { step } from "../step.ts";
import type { Step } from "../step.ts";
import { ask, DOWN } from "../world.ts";
import type { World } from "../world.ts";
import { declareOne } from "./deaths.ts";
import { beatOnce, vanishOne } from "./life.ts";

const hasProcesses = ({ processes }: Model): boolean => processes.length > 0;

/** So much time passes, then a process looks. */
export function look(who: number, after: number, duties: readonly string[] = DUTIES): Step {
  return step(
    `look(${who}, after ${after}, ${duties.join(" ")})`,
    async (model, world) => {
      await passTime(model, world, after);
      await lookOnce(model, world, pick(model.processes, who)!, duties);
    },
    hasProcesses,
  );
}

/** Some looks in a row while all processes beat but one. The watcher declares deaths, or dies before it can. */
export function patrol(who: number, looks: number, silent: number, declares: boolean): Step {
  return step(
    `patrol(${who}, ${looks}, ${silent}, ${declares})`,
    async (model, world) => {
      const { processes } = model;
      await patrolOnce(model, world, {
        watcher: pick(processes, who)!,
        silent: pick(processes, silent)!,
        looks,
        declares,
      });
    },
    hasProcesses,
  );
}

/**
 * A process is killed, one that holds a job if there is any, and whoever is on watch looks some times; the next one
 * takes over if it was the victim.
 */
export function kill(who: number, looks: number, declares: boolean): Step {
  return step(
    `kill(${who}, ${looks}, ${declares})`,
    async (model, world) => {
      const busy = model.processes.filter(({ registration }) => isBusy(model, registration.incarnation));
      const silent = pick(busy, who) ?? pick(model.processes, who)!;
      if (silent.subscribed) await vanishOne(world, silent);
      const onWatch = model.processes.find(
        ({ registration }) => registration.incarnation === model.duties.get(WATCH)?.holder,
      );
      const watcher = onWatch && onWatch !== silent ? onWatch : pick(model.processes, who + 1)!;
      await patrolOnce(model, world, { watcher, silent, looks, declares });
    },
    hasProcesses,
  );
}

/** Gives its duties up. */
export function yieldDuties(who: number): Step {
  return step(
    `yieldDuties(${who})`,
    async (model, world) => {
      const { incarnation } = pick(model.processes, who)!.registration;
      if ((await ask(model, world, ({ roster }) => roster.yieldDuties(incarnation, DUTIES))) === DOWN) return;
      for (const [duty, { holder }] of model.duties) if (holder === incarnation) model.duties.delete(duty);
    },
    hasProcesses,
  );
}

function isBusy({ jobs, members }: Model, incarnation: string): boolean {
  const holds = [...jobs.values()].some(({ state, holder }) => state === "held" && holder === holderOf(incarnation));
  return holds && members.has(incarnation);
}

interface Patrol {
  readonly watcher: Process;
  readonly silent: Process;
  readonly looks: number;
  readonly declares: boolean;
}

async function patrolOnce(model: Model, world: World, { watcher, silent, looks, declares }: Patrol): Promise<void> {
  const beating = model.processes.filter((one) => !one.gone && one !== silent);
  for (let i = 0; i < looks; i++) {
    for (const one of beating) await beatOnce(model, world, one, 0);
    await passTime(model, world, INTERVAL);
    await lookOnce(model, world, watcher, DUTIES);
    for (const suspect of declares ? model.suspicions : []) await declareOne(model, world, suspect);
  }
}

export async function passTime(model: Model, world: World, ms: number): Promise<void> {
  await world.server.advance(ms);
  model.clock += ms;
}

export async function lookOnce(model: Model, world: World, one: Process, duties: readonly string[]): Promise<void> {
  const by = one.registration.incarnation;
  const wall = Date.now();
  const request = { by, duties, dutyTtl: DUTY_TTL, interval: INTERVAL };
  const seen = await ask(model, world, ({ roster }) => roster.look(request));
  if (seen === DOWN) return;
  noteDuties(model, by, duties, seen);
  if (seen.held.includes(WATCH)) {
    noteTime(model, seen, world.server.runs ? Date.now() - (model.lastPass?.wall ?? wall) + 2 : 0);
    model.lastPass = { clock: model.clock, wall };
    notePresence(model);
    checkSuspects(model, seen);
  } else {
    assert.equal(seen.observed, model.observed, "only the watch moves observed time");
    assert.deepEqual(seen.suspects, [], "only the watch sees suspects");
  }
  checkRoster(model, seen);
}

function noteDuties(model: Model, by: string, duties: readonly string[], { held }: Look): void {
  const expected = model.members.has(by) ? duties.filter((duty) => isInReach(model, duty, by)) : [];
  assert.deepEqual(held, expected, "duties in reach, and no others");
  for (const duty of held) {
    const former = model.duties.get(duty)?.holder;
    if (former !== undefined && former !== by) note(model, "took over a duty");
    model.duties.set(duty, { holder: by, lookedAt: model.clock });
  }
}

/* `drift`: what may have passed on top, because the server's clock runs by itself. */
function noteTime(model: Model, { observed }: Look, drift: number): void {
  const clamp = (ms: number): number => Math.min(Math.max(ms, 0), 2 * INTERVAL);
  const passed = model.lastPass ? model.clock - model.lastPass.clock : 0;
  const moved = observed - model.observed;
  const most = model.lastPass ? clamp(passed + drift) : 0;
  assert.ok(moved >= clamp(passed) && moved <= most, `observed time moved by ${moved} ms after ${passed} ms`);
  if (passed > 2 * INTERVAL) note(model, "time that nobody watched");
  if (passed < 0) note(model, "clock stepped back");
  model.observed = observed;
}

/* While many are missed, and in the look after that, the absence of each begins anew. */
function notePresence(model: Model): void {
  const crowd = model.crowd || isDistrusted(model);
  for (const [incarnation, member] of model.members) {
    const missed = crowd ? undefined : member.missed;
    if (processOf(model, incarnation).subscribed) Object.assign(member, { seen: true, missed: undefined });
    else if (member.seen) {
      member.missed = { since: missed?.since ?? model.observed, looks: (missed?.looks ?? 0) + 1 };
    }
  }
  model.crowd = isDistrusted(model);
}

function checkSuspects(model: Model, seen: Look): void {
  assert.equal(seen.distrusted, isDistrusted(model), "many that vanish together are a broken path");
  if (seen.distrusted) note(model, "distrusted");
  for (const incarnation of model.members.keys()) {
    const told = seen.suspects.filter((suspect) => suspect.incarnation === incarnation).map(({ cause }) => cause);
    const causes = causesOf(model, incarnation);
    assert.equal(
      told.length,
      causes.size > 0 ? 1 : 0,
      `${incarnation}: told ${told.join()}, due ${[...causes].join()}`,
    );
    for (const cause of told) assert.ok(causes.has(cause), `${incarnation} is not ${cause}`);
  }
  assert.ok(seen.suspects.every(({ incarnation }) => model.members.has(incarnation)));
  model.suspicions.push(...seen.suspects);
}

function checkRoster(model: Model, seen: Look): void {
  assert.equal(seen.population, model.members.size);
  assert.equal(seen.deaths, model.deaths);
  if (model.rosterChanged === true) assert.ok(seen.changes > model.changes, "a cached roster is stale");
  if (model.rosterChanged === false) assert.equal(seen.changes, model.changes, "a cached roster is not stale");
  Object.assign(model, { changes: seen.changes, rosterChanged: false });
  for (const incarnation of model.members.keys()) {
    const muteness = mutenessOf(model, incarnation);
    if (muteness === undefined || causesOf(model, incarnation).size > 0) continue;
    assert.equal(
      seen.late.includes(incarnation),
      muteness === "late" || muteness === "both",
      `${incarnation}: ${muteness}`,
    );
    assert.equal(
      seen.blocked.includes(incarnation),
      muteness === "blocked" || muteness === "both",
      `${incarnation}: ${muteness}`,
    );
    if (muteness !== "none") note(model, muteness);
  }
}
