/* One storm from the first fork to the last look: a private Redis, a queue, a fleet, a schedule, and what they leave. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startRedis } from "@assured-jobs/dev-redis";
import { deathsOf } from "./case-file.mjs";
import { readDiary } from "./diary.mjs";
import { Disturber } from "./disturber.mjs";
import { Feeder } from "./feeder.mjs";
import { Fleet } from "./fleet.mjs";
import { inOrdinals } from "./ordinals.mjs";
import { within } from "./patience.mjs";
import { Schedule } from "./schedule.mjs";
import { Witness } from "./witness.mjs";

/** @typedef {import("./history.d.mts").History} History */
/** @typedef {{ seed: number, jobs: number, kills: number, pauses: number, processes: number, minutes: number, gap: number, bare: boolean, module: string }} Storm */
/** @typedef {{ storm: Storm, fleet: Fleet, feeder: Feeder, witness: Witness, disturber: Disturber, startedAt: number }} Scene */

/**
 * Quick, in the proportions of the defaults. The lease is long enough that a busy machine starves nobody out of it. In a
 * storm deaths are no job's fault: none is ever given up for them, and they are soon forgotten, or hundreds of suspects
 * would come back one after the other.
 */
const SETTINGS = {
  heartbeatInterval: 400,
  heartbeatTtl: 4_000,
  presenceGrace: 200,
  lookInterval: 50,
  recoveryInterval: 100,
  maxRecoveries: 1_000_000,
  recoveryWindow: 1_000,
  stopTimeout: 1_000,
};
const CONCURRENCY = 10;
const FEED_EVERY = 50;
const SAY_EVERY = 5_000;
/** The storm is over when no job ended for so long, ms. A suspect may have to wait 30 s; BullMQ alone takes a lock and two checks. */
export const PATIENCE = { assured: 60_000, bare: 150_000 };
const QUIET_PATIENCE = 60_000;

/**
 * Resolves to what happened; whatever fails, every process is ended.
 * @param {Storm} storm
 * @param {(line: string) => void} say
 * @param {AbortSignal} interrupted
 * @returns {Promise<{ history: History, kills: number, pauses: number, seconds: number }>}
 */
export async function play(storm, say, interrupted) {
  /** @type {(() => Promise<unknown>)[]} */
  const endings = [];
  try {
    return await onStage(storm, say, interrupted, endings);
  } finally {
    for (const end of endings.toReversed()) await end();
  }
}

/**
 * @param {Storm} storm
 * @param {(line: string) => void} say
 * @param {AbortSignal} interrupted
 * @param {(() => Promise<unknown>)[]} endings
 */
async function onStage(storm, say, interrupted, endings) {
  const dir = await mkdtemp(join(tmpdir(), "storm-"));
  endings.push(() => rm(dir, { recursive: true, force: true }));
  const redis = await startRedis({ own: true });
  endings.push(() => redis.stop());
  const place = { url: redis.url, queue: "storm", bare: storm.bare };
  const { openQueue } = /** @type {import("./queues/contract.d.mts").QueueModule} */ (await import(storm.module));
  const queue = await openQueue(place);
  endings.push(() => queue.close());
  const witness = new Witness({ ...place, queue });
  endings.push(() => witness.close());
  await witness.start();
  const orders = { ...place, module: storm.module, concurrency: CONCURRENCY, settings: SETTINGS };
  const fleet = new Fleet({ dir, size: storm.processes, orders });
  endings.push(() => fleet.close());
  fleet.fill();
  const isDead = storm.bare ? undefined : (/** @type {string} */ incarnation) => witness.isDead(incarnation);
  const disturber = new Disturber({ fleet, size: storm.processes, isDead });
  const feeder = new Feeder({ ...storm, queue });
  /** @type {Scene} */
  const scene = { storm, fleet, feeder, witness, disturber, startedAt: performance.now() };
  const stopSaying = every(SAY_EVERY, () => say(stateOf(scene)));
  endings.push(async () => stopSaying());

  await rage(scene, interrupted);
  await calm(scene);
  say(stateOf(scene));
  const leftovers = await witness.leftovers();
  await witness.stop();
  await fleet.close();
  const notes = fleet.lives.flatMap(({ process }) => readDiary(fleet.diaryOf(process), process));
  const told = inOrdinals({ facts: witness.facts, notes, ledger: witness.ledger });
  const history = { assured: !storm.bare, plans: feeder.plans, ...told, lives: fleet.lives, leftovers };
  const { kills, pauses } = disturber;
  return { history, kills, pauses, seconds: secondsOf(scene) };
}

/* The disturbances, and jobs in step with them. */
async function rage(/** @type {Scene} */ scene, /** @type {AbortSignal} */ interrupted) {
  const { storm, disturber, feeder, witness } = scene;
  const schedule = new Schedule(storm);
  const over = new AbortController();
  const feeding = (async () => {
    for (; !over.signal.aborted; await sleep(FEED_EVERY)) await feeder.feed(progressOf(scene), witness.ended);
  })();
  try {
    while (progressOf(scene) < 1 && !interrupted.aborted) await disturber.carryOut(schedule.next());
    await disturber.settled();
  } finally {
    over.abort();
  }
  await feeding;
  await feeder.feed(1, witness.ended);
}

/* Nobody is disturbed any more: every job ends, every death is known, every zombie is itself again. */
async function calm(/** @type {Scene} */ { storm, fleet, feeder, witness }) {
  const patience = storm.bare ? PATIENCE.bare : PATIENCE.assured;
  let ended = -1;
  while (witness.ended < feeder.plans.size && witness.ended > ended) {
    ended = witness.ended;
    await within(patience, () => witness.ended > ended);
  }
  if (storm.bare) return;
  await within(QUIET_PATIENCE, async () => {
    const counts = await witness.counts();
    const zombie = fleet.members.some(({ life }) => life.freezes.length > 0 && !isItself(life));
    if (counts === undefined || zombie || counts.instances !== fleet.members.length) return false;
    return counts.pending + counts.claims + counts.suspects === 0;
  });
}

/* Born again after the last time that it was declared dead. */
const isItself = (/** @type {import("./history.d.mts").Life} */ life) => life.rebornAt.length >= deathsOf(life);

const secondsOf = (/** @type {Scene} */ { startedAt }) => Math.round((performance.now() - startedAt) / 1_000);

function progressOf(/** @type {Scene} */ scene) {
  const { storm, disturber } = scene;
  if (storm.minutes > 0) return secondsOf(scene) / 60 / storm.minutes;
  const shares = [
    storm.kills > 0 ? disturber.kills / storm.kills : 1,
    storm.pauses > 0 ? disturber.pauses / storm.pauses : 1,
  ];
  return Math.min(...shares);
}

function stateOf(/** @type {Scene} */ scene) {
  const { disturber, feeder, witness, fleet } = scene;
  const parts = [
    `${secondsOf(scene)} s`.padStart(6),
    `${disturber.kills} kills`,
    `${disturber.pauses} pauses`,
    `${feeder.plans.size} jobs added`,
    `${witness.ended} ended`,
    `${fleet.ready.length} of ${fleet.members.length} processes ready`,
  ];
  return parts.join("  ");
}

/** @param {number} ms @param {() => void} action */
function every(ms, action) {
  const timer = setInterval(action, ms);
  return () => clearInterval(timer);
}
