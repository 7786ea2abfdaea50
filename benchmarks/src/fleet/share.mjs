/* A share of the fleet in one process: instances that are registered, present and beat, each at its own moment of the
 * interval, and ask now and then for a duty as real ones do. All through the store's own API. */
import { redisStore } from "@assured-jobs/core";
import { task, tell } from "../wire.mjs";
import { Presence } from "./presence.mjs";
import { BEAT_INTERVAL, LEASE, newRegistration } from "./registration.mjs";

/** @type {{ url: string, queueKey: string, count: number, looksPerSecond: number }} */
const { url, queueKey, count, looksPerSecond } = task();
/** Registrations and claims on their way at once. */
const AT_ONCE = 100;
/** Of this share, and of one instance. */
const CLAIMS = 5_000;
const CLAIMS_EACH = 50;

const store = redisStore({ url });
const presence = new Presence(url, store.namespace);
const registrations = Array.from({ length: count }, () => newRegistration(queueKey));
const incarnations = registrations.map(({ incarnation }) => incarnation);
/** @type {Set<string>} */
const vanished = new Set();
let beats = 0;

/** @type {Record<string, () => Promise<object> | object>} */
const orders = {
  async enter() {
    await presence.enter(incarnations);
    await inSlices(registrations, (registration) => store.roster.register(registration));
    incarnations.forEach((incarnation, i) => setTimeout(() => live(incarnation), (i / count) * BEAT_INTERVAL));
    setInterval(look, 1_000 / looksPerSecond);
    return {};
  },
  beats: () => ({ count: beats }),
  async claim() {
    const claimants = incarnations.slice(0, Math.ceil(CLAIMS / CLAIMS_EACH));
    await inSlices(claimants, (incarnation) =>
      store.ledger.claim(incarnation, { add: claims(incarnation), remove: [] }),
    );
    return { count: claimants.length * CLAIMS_EACH };
  },
  async vanish() {
    const [incarnation = ""] = incarnations;
    vanished.add(incarnation);
    await presence.leave(incarnation);
    return { incarnation };
  },
};

process.on("message", (/** @type {import("../child.mjs").Message} */ { type }) => void obey(type));
await store.open();
tell({ type: "ready" });

/** @param {string} type */
async function obey(type) {
  tell({ type, ...(await orders[type]?.()) });
}

/** @param {string} incarnation */
function live(incarnation) {
  void beat(incarnation);
  setInterval(() => void beat(incarnation), BEAT_INTERVAL);
}

/* One that is refused ends the benchmark: everybody here is alive. */
async function beat(/** @type {string} */ incarnation) {
  if (vanished.has(incarnation)) return;
  const reply = await store.roster.beat({ incarnation, ttl: LEASE, interval: BEAT_INTERVAL, blockedFor: 0 });
  if (reply !== "alive") throw new Error(`the beat of ${incarnation} was answered: ${reply}`);
  beats++;
}

/* Somebody without a duty asks whether one has become free. */
function look() {
  const by = incarnations[Math.floor(Math.random() * count)] ?? "";
  void store.roster.look({ by, duties: ["watch", queueKey], dutyTtl: 3_000, interval: 250 });
}

/** @param {string} incarnation */
const claims = (incarnation) =>
  Array.from({ length: CLAIMS_EACH }, (_, i) => ({
    queue: queueKey,
    id: `${incarnation.slice(-6)}${i}`,
    run: 1,
    name: "welcome",
    proof: `${crypto.randomUUID()}:${i}`,
    since: Date.now(),
  }));

/**
 * @template T
 * @param {readonly T[]} all
 * @param {(one: T) => Promise<unknown>} act
 */
async function inSlices(all, act) {
  for (let first = 0; first < all.length; first += AT_ONCE)
    await Promise.all(all.slice(first, first + AT_ONCE).map(act));
}
