/* One fleet on one server: a real process on duty, and a crowd of simulated ones with their beats, presence and looks.
 *
 * Nobody may die meanwhile. At the end one of them vanishes and must be found dead: else the looks would have been fast
 * because they saw nobody.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "../child.mjs";
import { figure } from "../server.mjs";
import { rounded } from "../statistics.mjs";
import { Crowd } from "./crowd.mjs";
import { BEAT_INTERVAL } from "./registration.mjs";

/** Everybody was seen present and has beaten once before the figures are taken, ms. */
const SETTLES = BEAT_INTERVAL + 2_000;
const DEATH_PATIENCE = 30_000;

/** @typedef {import("ioredis").Redis} Redis */

/**
 * @param {import("../server.mjs").Server} server
 * @param {{ queue: string, size: number, seconds: number }} plan
 */
export async function measureFleet({ url, redis }, { queue, size, seconds }) {
  const watcher = new Child("fleet/watcher.mjs", { queue, where: { url, name: "fleet" } });
  /** @type {Crowd | undefined} */
  let crowd;
  try {
    const { queueKey } = await watcher.next("ready");
    const connectionsPerInstance = await ownConnections(redis);
    crowd = new Crowd({ url, queueKey: String(queueKey), size });
    await crowd.ready();
    const deaths = witness(watcher);
    const bytesPerInstance = Math.round((await growth(redis, () => crowd?.enter())) / size);
    await sleep(Math.min(SETTLES, seconds * 1_000));
    const steady = await observe({ redis, watcher, crowd }, seconds);
    const claimBytes = await bytesPerClaim(redis, crowd);
    if (deaths.length > 0) throw new Error(`nobody died, and yet: ${deaths.join(", ")}`);
    await someoneVanishes(watcher, crowd);
    return { instances: size, ...steady, bytesPerInstance, claimBytes, connectionsPerInstance };
  } finally {
    await Promise.all([watcher.kill(), crowd?.end()]);
  }
}

/** Of the only real instance so far: its connections have names. @param {Redis} redis */
async function ownConnections(redis) {
  const clients = String(await redis.client("LIST"));
  return clients.split("\n").filter((line) => line.includes(" name=assured-jobs:")).length;
}

/** @param {Child} watcher */
function witness(watcher) {
  /** @type {string[]} */
  const deaths = [];
  watcher.hear(({ type, incarnation, evidence }) => {
    if (type === "dead") deaths.push(`${String(incarnation)} (${String(evidence)})`);
  });
  return deaths;
}

/**
 * The idle fleet for so many seconds.
 * @param {{ redis: Redis, watcher: Child, crowd: Crowd }} parts
 * @param {number} seconds
 */
async function observe({ redis, watcher, crowd }, seconds) {
  watcher.send({ type: "begin" });
  const before = { at: performance.now(), cpu: await cpuOf(redis), beats: await crowd.beats() };
  await sleep(seconds * 1_000);
  const after = { at: performance.now(), cpu: await cpuOf(redis), beats: await crowd.beats() };
  const looked = watcher.next("looked");
  watcher.send({ type: "end" });
  const { looks, p50, p99 } = await looked;
  const wall = (after.at - before.at) / 1_000;
  return {
    sweepP99Ms: rounded(Number(p99), 2),
    redisCpuPercent: rounded(((after.cpu - before.cpu) / wall) * 100, 2),
    lookP50Ms: rounded(Number(p50), 2),
    looks: Number(looks),
    beatsPerSecond: rounded((after.beats - before.beats) / wall, 1),
  };
}

/** Seconds of processor time of the whole server. @param {Redis} redis */
const cpuOf = async (redis) => (await figure(redis, "used_cpu_sys")) + (await figure(redis, "used_cpu_user"));

/** @param {Redis} redis @param {Crowd} crowd */
async function bytesPerClaim(redis, crowd) {
  let claims = 0;
  const bytes = await growth(redis, async () => {
    claims = await crowd.claim();
  });
  return Math.round(bytes / claims);
}

/** Bytes of memory that the server needs for it. @param {Redis} redis @param {() => unknown} act */
async function growth(redis, act) {
  const before = await figure(redis, "used_memory");
  await act();
  return (await figure(redis, "used_memory")) - before;
}

/** @param {Child} watcher @param {Crowd} crowd */
async function someoneVanishes(watcher, crowd) {
  const found = watcher.next("dead");
  const vanished = await crowd.vanish();
  const dead = await Promise.race([found, sleep(DEATH_PATIENCE, undefined, { ref: false })]);
  if (dead?.incarnation !== vanished) throw new Error(`${vanished} vanished, and nobody noticed: the looks are blind`);
}
