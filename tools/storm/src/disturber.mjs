/* Carries a schedule out on a fleet. Which process a step meets depends on who lives and works at that moment, so a
 * seed repeats the schedule exactly and the course of the storm nearly. */
import { setTimeout as sleep } from "node:timers/promises";
import { within } from "./patience.mjs";

/** @typedef {import("./fleet.mjs").Member} Member */
/** @typedef {import("./schedule.mjs").Step} Step */
/** @template {Step["do"]} Do @typedef {Extract<Step, { do: Do }>} StepOf */

/** How long a step waits for a process that it may meet, ms; then it takes what there is. */
const TARGET_PATIENCE = 10_000;
const START_PATIENCE = 30_000;
const LEAVE_PATIENCE = 30_000;
/** A frozen process that is not declared dead within this, ms, is thawed, and the checker hears of it. */
const DEATH_PATIENCE = 60_000;
/** Without assurance nobody declares anybody dead: a long freeze lasts so long, ms. */
const BARE_LONG = 6_000;

export class Disturber {
  kills = 0;
  pauses = 0;
  /** @type {Set<Promise<void>>} */
  #background = new Set();
  #options;

  /** @param {{ fleet: import("./fleet.mjs").Fleet, size: number, isDead: ((incarnation: string) => boolean) | undefined }} options */
  constructor(options) {
    this.#options = options;
  }

  /** Resolves when the step has begun; what takes time goes on in the background. */
  async carryOut(/** @type {Step} */ step) {
    await sleep(step.gap);
    if (step.gap > 0) await within(TARGET_PATIENCE, () => this.#isStanding());
    if (step.do === "kill") await this.#kill(step);
    else if (step.do === "freeze") await this.#freeze(step);
    else if (step.do === "leave") await this.#leave(step);
    else await this.#replace(step);
  }

  /** Resolves when everything that was begun is over. */
  async settled() {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  get #ready() {
    return this.#options.fleet.ready;
  }

  /* Where more than half are gone at any time, nobody can tell a death from a broken path, and leases decide all. */
  #isStanding() {
    const { fleet, size } = this.#options;
    const starting = fleet.members.filter(({ life }) => life.readyAt === undefined).length;
    return this.#ready.length >= size / 2 && starting <= size / 4;
  }

  async #kill(/** @type {StepOf<"kill">} */ { alike, pick }) {
    const working = () => this.#ready.filter(({ held }) => held > 0);
    if (alike === "working") await within(TARGET_PATIENCE, () => working().length > 0);
    const some = alike === "working" ? working() : [];
    await this.#strike(choose(some.length > 0 ? some : this.#options.fleet.members, pick));
  }

  async #strike(/** @type {Member | undefined} */ member) {
    if (member !== undefined && (await this.#options.fleet.kill(member))) this.kills++;
  }

  async #freeze(/** @type {StepOf<"freeze">} */ step) {
    const frozen = () => this.#options.fleet.members.filter((member) => member.frozen).length;
    await within(TARGET_PATIENCE, () => frozen() < this.#options.size / 3 && this.#ready.length > 0);
    const member = choose(this.#ready, step.pick);
    if (member === undefined) return;
    const { life, child } = member;
    const incarnation = life.incarnations.at(-1) ?? "";
    /** @type {import("./history.d.mts").Freeze} */
    const freeze = { from: Date.now(), kind: step.kind, incarnation };
    life.freezes.push(freeze);
    member.frozen = true;
    child.kill("SIGSTOP");
    this.pauses++;
    this.#inBackground(this.#thaw(member, freeze, step));
  }

  /** @param {Member} member @param {import("./history.d.mts").Freeze} freeze @param {StepOf<"freeze">} step */
  async #thaw(member, freeze, { kind, ms }) {
    if (kind === "long") await this.#declaredDead(member, freeze);
    await sleep(ms);
    freeze.to = Date.now();
    member.child.kill("SIGCONT");
    member.frozen = false;
  }

  /** @param {Member} member @param {import("./history.d.mts").Freeze} freeze */
  async #declaredDead({ life }, freeze) {
    const { isDead } = this.#options;
    if (isDead === undefined) return sleep(BARE_LONG);
    const dead = () => isDead(freeze.incarnation);
    await within(DEATH_PATIENCE, () => dead() || life.exitedAt !== undefined);
    freeze.declared = dead();
  }

  async #leave(/** @type {StepOf<"leave">} */ { how, timeout, killAfter, pick }) {
    await within(TARGET_PATIENCE, () => this.#ready.length > 1);
    const member = choose(this.#ready, pick);
    if (member !== undefined) this.#inBackground(this.#seeOff(member, { how, timeout, killAfter }));
  }

  async #replace(/** @type {StepOf<"replace">} */ { end, pick }) {
    await within(TARGET_PATIENCE, () => this.#ready.length > 0);
    const old = choose(this.#ready, pick);
    if (old === undefined) return;
    const fresh = this.#options.fleet.launch(old.life.name);
    this.#inBackground(
      within(START_PATIENCE, () => fresh.life.readyAt !== undefined || fresh.life.exitedAt !== undefined).then(() =>
        end === "kill" ? this.#strike(old) : this.#seeOff(old, { how: "signal", timeout: 0, killAfter: undefined }),
      ),
    );
  }

  /** @param {Member} member @param {Pick<StepOf<"leave">, "how" | "timeout" | "killAfter">} order */
  async #seeOff(member, { how, timeout, killAfter }) {
    const { life, child } = member;
    if (life.killedAt !== undefined || life.leavingAt !== undefined) return;
    life.leavingAt = Date.now();
    if (how === "signal") child.kill("SIGTERM");
    else if (child.connected) child.send({ type: "leave", how, timeout });
    if (killAfter !== undefined) {
      await sleep(killAfter);
      return this.#strike(member);
    }
    if (await within(LEAVE_PATIENCE, () => life.exitedAt !== undefined)) return;
    life.trouble.push(`it did not leave within ${LEAVE_PATIENCE} ms`);
    await this.#strike(member);
  }

  #inBackground(/** @type {Promise<void>} */ work) {
    const noted = work.finally(() => this.#background.delete(noted));
    this.#background.add(noted);
  }
}

/**
 * @param {readonly Member[]} members
 * @param {number} pick
 */
function choose(members, pick) {
  const sorted = members.toSorted((a, b) => (a.life.process < b.life.process ? -1 : 1));
  return sorted[pick % Math.max(1, sorted.length)];
}
