/* Who died, and who did not: every death is noticed, nobody who lives is declared dead, every zombie is born again. */
import { deathsOf, wasZombie } from "../case-file.mjs";

/** @typedef {import("../case-file.mjs").FleetRecord} FleetRecord */
/** @typedef {import("../history.d.mts").Life} Life */
/** @typedef {import("../history.d.mts").Violation} Violation */

/**
 * @param {FleetRecord} fleet
 * @returns {Generator<Violation>}
 */
export function* falseDeath(fleet) {
  for (const [incarnation, { at, detail }] of fleet.deaths) {
    const life = fleet.incarnation(incarnation);
    if (life === undefined) continue; // it died before it could say its name
    const gone = [life.killedAt, life.exitedAt, life.leavingAt].some((time) => time !== undefined && at >= time);
    const zombie = life.freezes.some(
      (freeze) => freeze.kind === "long" && freeze.incarnation === incarnation && at >= freeze.from,
    );
    if (!gone && !zombie) {
      yield {
        kind: "falseDeath",
        detail: `${incarnation} (${life.process}) was declared dead (${detail}) and lived${frozenFor(life)}`,
      };
    }
  }
}

/**
 * @param {FleetRecord} fleet
 * @returns {Generator<Violation>}
 */
export function* unnoticed(fleet) {
  for (const life of fleet.lives) {
    const last = life.incarnations.at(-1);
    const died = life.killedAt !== undefined && life.leavingAt === undefined && last !== undefined;
    if (died && !fleet.deaths.has(last))
      yield { kind: "unnoticed", detail: `${last} (${life.process}) was killed, and nobody noticed` };
    for (const { kind, declared, incarnation } of life.freezes) {
      if (kind === "long" && declared === false && life.killedAt === undefined) {
        yield { kind: "unnoticed", detail: `${incarnation} (${life.process}) was frozen, and nobody gave it up` };
      }
    }
  }
}

/**
 * @param {FleetRecord} fleet
 * @returns {Generator<Violation>}
 */
export function* notReborn(fleet) {
  for (const life of fleet.lives) {
    const stayed = life.exitedAt === undefined || (life.killedAt === undefined && life.leavingAt === undefined);
    if (!stayed || !wasZombie(life)) continue;
    const times = deathsOf(life);
    if (life.fencedAt.length < times || life.rebornAt.length < times) {
      const { process, fencedAt, rebornAt } = life;
      yield {
        kind: "notReborn",
        detail: `${process} was declared dead ${times} times, learned of it ${fencedAt.length} times and was born again ${rebornAt.length} times`,
      };
    }
  }
}

/**
 * @param {FleetRecord} fleet
 * @returns {Generator<Violation>}
 */
export function* crashed(fleet) {
  for (const { process, killedAt, leavingAt, exit, trouble } of fleet.lives) {
    if (exit !== undefined && exit !== "SIGKILL" && leavingAt === undefined) {
      yield { kind: "crashed", detail: `${process} ended by itself (${exit}): ${trouble.join("; ")}` };
    }
    const stayed = trouble.find((text) => text.startsWith("it did not leave"));
    if (stayed !== undefined && killedAt !== undefined) yield { kind: "crashed", detail: `${process}: ${stayed}` };
  }
}

function frozenFor(/** @type {Life} */ { freezes }) {
  const last = freezes.at(-1);
  if (last === undefined) return "";
  return `; it was last frozen for ${(last.to ?? Number.NaN) - last.from} ms (${last.kind})`;
}
