/* Recovery, in the steps that a recoverer may die between: read, open, move, settle.
 *
 * Two recoverers share nothing but the store and the queue, and each may act on what it read long ago. Whatever they
 * do, in whatever order: a run leaves the dead once, its case is closed once, and there is one event for it.
 */
import assert from "node:assert/strict";
import type { HistoryEvent, Orphan, Outcome, RequeueOutcome, Settlement } from "@assured-jobs/core";
import { caseKey, holderOf, note, pick, QUEUE, WINDOW } from "../model.ts";
import type { Model, Recoverer } from "../model.ts";
import { step } from "../step.ts";
import type { Step } from "../step.ts";
import { ask, askBoth, DOWN } from "../world.ts";
import type { World } from "../world.ts";
import { claimKey, forgetClaims } from "./claims.ts";
import { exit, isHeldAs } from "./jobs.ts";
import { noteCompany } from "./suspects.ts";

/** Reads who is dead, what they hold, and what other recoverers left open. */
export function read(who: number): Step {
  return ofRecoverer("read", who, readAll);
}

/** Opens a case for everything that it read, now or long ago. */
export function open(who: number): Step {
  return ofRecoverer("open", who, openAll, ({ read: charges }) => charges.length > 0);
}

/** Moves an orphan back to the queue. */
export function requeue(who: number, which: number): Step {
  const act = (model: Model, world: World, one: Recoverer): Promise<void> =>
    moveOne(model, world, pick(one.opened, which)!);
  return ofRecoverer(`requeue ${which}`, who, act, ({ opened }) => opened.length > 0);
}

/** Puts an orphan aside: the record first. */
export function bury(who: number, which: number): Step {
  const act = (model: Model, world: World, one: Recoverer): Promise<void> =>
    buryOne(model, world, pick(one.opened, which)!);
  return ofRecoverer(`bury ${which}`, who, act, ({ opened }) => opened.length > 0);
}

/** Settles everything that it moved; `twice`: on both handles at once, as another recoverer would. */
export function settle(who: number, twice: boolean): Step {
  const act = (model: Model, world: World, one: Recoverer): Promise<void> => settleMoved(model, world, one, twice);
  return ofRecoverer(`settle ${twice}`, who, act, ({ opened }) => opened.some(({ outcome }) => outcome !== undefined));
}

/** A whole pass, of which only so many steps are done. */
export function pass(who: number, steps: number): Step {
  const act = async (model: Model, world: World, one: Recoverer): Promise<void> => {
    for (const part of [readAll, openAll, requeueOpened, settleMoved].slice(0, steps)) await part(model, world, one);
  };
  return ofRecoverer(`pass, ${steps} steps`, who, act);
}

/** The recoverer dies, and what it knew dies with it. */
export function perish(who: number): Step {
  return ofRecoverer("perish", who, async (_model, _world, one) => {
    one.read = [];
    one.opened = [];
  });
}

/** A dead one that holds nothing any more is dropped from the list; its tombstone stays. */
export function forget(who: number): Step {
  const can = (model: Model): boolean => {
    const one = pick([...model.dead.keys()], who);
    return one !== undefined && isEmptyHanded(model, one);
  };
  return step(
    `forget(${who})`,
    async (model, world) => {
      const incarnation = pick([...model.dead.keys()], who)!;
      if ((await ask(model, world, ({ roster }) => roster.forget(incarnation))) === DOWN) return;
      model.dead.delete(incarnation);
      forgetClaims(model, incarnation);
      for (const one of model.processes) if (one.registration.incarnation === incarnation) one.gone = true;
      note(model, "forgotten");
    },
    can,
  );
}

/** A person puts a buried job back, with a fresh budget. */
export function release(which: number): Step {
  const can = ({ jobs }: Model): boolean => [...jobs.values()].some(({ state }) => state === "buried");
  return step(
    `release(${which})`,
    async (model, world) => {
      const id = pick(
        [...model.jobs].filter(([, { state }]) => state === "buried").map(([one]) => one),
        which,
      )!;
      if ((await ask(model, world, ({ casebook }) => casebook.pardon(QUEUE, id))) === DOWN) return;
      model.charged.delete(id);
      await world.adapter.release(QUEUE, id);
      model.jobs.get(id)!.state = "waiting";
      const removed = await ask(model, world, ({ ledger }) => ledger.unquarantine(QUEUE, id));
      assert.equal(removed, model.quarantine.delete(id));
      note(model, "released");
    },
    can,
  );
}

export async function readAll(model: Model, world: World, one: Recoverer): Promise<void> {
  const dead = await ask(model, world, ({ roster }) => roster.dead());
  if (dead === DOWN) return;
  const holders = dead.map(({ registration: { incarnation, holders: ids } }) => {
    return { incarnation, ids: ids[QUEUE] ?? [], claims: [] };
  });
  const orphans = await world.adapter.heldBy(QUEUE, holders);
  const leaving = new Set(dead.filter((death) => death.leaving).map(({ registration }) => registration.incarnation));
  const left = await ask(model, world, ({ casebook }) => casebook.pending(QUEUE));
  if (left === DOWN) return;
  const listed = new Set(orphans.map(caseKey));
  one.read = [
    ...orphans.map((orphan) => ({ orphan, charged: !leaving.has(orphan.holder) })),
    ...left.filter(({ orphan }) => !listed.has(caseKey(orphan))).map(({ orphan }) => ({ orphan, charged: false })),
  ];
}

export async function openAll(model: Model, world: World, one: Recoverer): Promise<void> {
  const cases = await ask(model, world, ({ casebook }) => casebook.open(one.read, WINDOW));
  if (cases === DOWN) return;
  one.read.forEach(({ orphan, charged }, i) => {
    const deaths = model.charged.get(orphan.id) ?? new Set();
    model.charged.set(orphan.id, charged ? deaths.add(orphan.holder) : deaths);
    if (charged) noteCompany(model, orphan);
    assert.deepEqual(cases[i]!.orphan, orphan);
    assert.equal(cases[i]!.deaths, deaths.size, `deaths of ${orphan.id}: the same one never counts twice`);
    if (model.settled.has(caseKey(orphan))) note(model, "came too late to open");
    else if ((model.cases.get(orphan.id)?.run ?? 0) < orphan.run) model.cases.set(orphan.id, orphan);
  });
  one.opened = one.read.map(({ orphan }) => ({ orphan }));
  one.read = [];
}

export async function settleMoved(model: Model, world: World, one: Recoverer, twice = false): Promise<void> {
  const moved = one.opened.filter(({ outcome }) => outcome !== undefined);
  const settlements = moved.map(({ orphan, outcome }) => settlementOf(orphan, outcome!));
  const call = twice ? askBoth : askOnce;
  const closed = await call(model, world, ({ casebook }) => casebook.settle(settlements));
  if (!model.up) return;
  one.opened = one.opened.filter(({ outcome }) => outcome === undefined);
  moved.forEach(({ orphan }, i) => {
    const standing = model.cases.get(orphan.id);
    const isOpen = standing !== undefined && caseKey(standing) === caseKey(orphan);
    assert.equal(
      closed.filter((answers) => answers[i]).length,
      isOpen ? 1 : 0,
      "one, and only one, closes an open case",
    );
    if (isOpen) close(model, orphan);
    else note(model, "refused to settle");
  });
}

export async function requeueOpened(model: Model, world: World, { opened }: Recoverer): Promise<void> {
  for (const one of opened.filter(({ outcome }) => outcome === undefined)) await moveOne(model, world, one);
}

async function moveOne(model: Model, world: World, one: Recoverer["opened"][number]): Promise<void> {
  const { orphan } = one;
  const expected = fateOf(model, orphan);
  assert.equal(await world.adapter.requeue(orphan, { delay: 0 }), expected ?? "requeued");
  if (expected === undefined) exit(model, orphan.id, "waiting");
  note(model, expected === undefined ? "requeued" : `refused to requeue: ${expected}`);
  one.outcome = expected === undefined || expected === "already" ? "requeued" : (expected as Outcome);
}

async function buryOne(model: Model, world: World, one: Recoverer["opened"][number]): Promise<void> {
  const { queue, id, run, holder } = one.orphan;
  const record = { queue, id, run, holder, deaths: 1, reason: "it died with its process" };
  if ((await ask(model, world, ({ ledger }) => ledger.quarantine(record))) === DOWN) return;
  if (!model.quarantine.has(id)) model.quarantine.set(id, { id, run });
  const expected = fateOf(model, one.orphan);
  assert.equal(await world.adapter.bury(one.orphan, record.reason), expected ?? "buried");
  if (expected === undefined) exit(model, id, "buried");
  one.outcome = "buried";
  if (model.jobs.get(id)!.state === "buried") return note(model, "buried");
  one.outcome = expected === "already" ? "requeued" : (expected as Outcome);
  if ((await ask(model, world, ({ ledger }) => ledger.unquarantine(queue, id))) !== DOWN) model.quarantine.delete(id);
}

/* What the queue must answer about a run that is not held as it was; undefined when it is. */
function fateOf(model: Model, { id, run, holder }: Orphan): RequeueOutcome | undefined {
  if (isHeldAs(model, id, run, holderOf(holder))) return undefined;
  const { state } = model.jobs.get(id)!;
  return state === "finished" || state === "failed" ? "finished" : "already";
}

function close(model: Model, orphan: Orphan): void {
  assert.ok(model.exits.has(`${orphan.id} run ${orphan.run}`), "nothing is settled before the job is safe");
  assert.ok(!model.settled.has(caseKey(orphan)), "a case is closed once");
  model.cases.delete(orphan.id);
  model.settled.add(caseKey(orphan));
  const key = claimKey(orphan.holder, orphan.id);
  if ((model.claims.get(key) ?? Infinity) <= orphan.run) model.claims.delete(key);
  note(model, "settled");
}

function settlementOf(orphan: Orphan, outcome: Outcome): Settlement {
  const { queue, id, run, holder } = orphan;
  const event: HistoryEvent = { type: `orphan.${outcome}`, who: "somebody", queue, job: id, run, evidence: holder };
  return { orphan, outcome, event };
}

async function askOnce<T>(...call: Parameters<typeof askBoth<T>>): Promise<T[]> {
  const reply = await ask(...call);
  return reply === DOWN ? [] : [reply];
}

function isEmptyHanded(model: Model, incarnation: string): boolean {
  const holds = [...model.jobs.values()].some(
    ({ state, holder }) => state === "held" && holder === holderOf(incarnation),
  );
  const isRead = model.recoverers.some((one) =>
    [...one.read, ...one.opened].some(({ orphan }) => orphan.holder === incarnation),
  );
  return !holds && !isRead && [...model.cases.values()].every(({ holder }) => holder !== incarnation);
}

function ofRecoverer(
  what: string,
  who: number,
  act: (model: Model, world: World, one: Recoverer) => Promise<void>,
  can: (one: Recoverer) => boolean = () => true,
): Step {
  const one = (model: Model): Recoverer => model.recoverers[who % model.recoverers.length]!;
  return step(
    `${what}(${who})`,
    (model, world) => act(model, world, one(model)),
    (model) => can(one(model)),
  );
}
