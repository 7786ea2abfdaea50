/* Keeps what queue and ledger record while the storm goes on: both forget after a while, the checker must not. */
import { createAssurance, redisStore } from "@assured-jobs/core";
import { setTimeout as sleep } from "node:timers/promises";

/** @typedef {import("./history.d.mts").Fact} Fact */
/** @typedef {import("./history.d.mts").LedgerLine} LedgerLine */
/** @typedef {import("@assured-jobs/core").RecordedEvent} RecordedEvent */

const EVERY = 200;
const PAGE = 1_000;
/** Counted by `counts()`. */
const STALE_CLAIM = "claim.stale";
const KINDS = /** @type {const} */ (["deaths", "recoveries"]);

export class Witness {
  /** @type {Fact[]} */
  facts = [];
  /** @type {LedgerLine[]} */
  ledger = [];
  /** @type {Set<string>} */
  #ended = new Set();
  /** @type {Set<string>} */
  #dead = new Set();
  /** @type {Record<string, string>} */
  #newest = {};
  /** @type {Promise<void> | undefined} */
  #watching;
  #over = false;
  #queue;
  #store;
  #observer;

  /** @param {{ url: string, bare: boolean, queue: import("./queues/contract.d.mts").StormQueue }} options */
  constructor({ url, bare, queue }) {
    this.#queue = queue;
    this.#store = bare ? undefined : redisStore({ url });
    const { adapter } = queue;
    this.#observer = this.#store && createAssurance({ role: "observer", store: this.#store, adapters: [adapter] });
  }

  async start() {
    await this.#observer?.start({ required: true });
    this.#watching = this.#watch();
  }

  /** How many jobs have an accepted end. */
  get ended() {
    return this.#ended.size;
  }

  isDead(/** @type {string} */ incarnation) {
    return this.#dead.has(incarnation);
  }

  /** What the store keeps now; nothing without assurance. `claims` are those of the living. */
  async counts() {
    if (this.#store === undefined) return undefined;
    const { ledger, casebook } = this.#store;
    const { items } = await ledger.claims({ limit: PAGE });
    const dead = items.filter(({ holder }) => this.isDead(holder)).length;
    const suspects = await Promise.all(this.#queue.adapter.queues.map((queue) => casebook.suspects(queue)));
    const counts = await ledger.counts();
    return { ...counts, claims: items.length - dead, claimsOfTheDead: dead, suspects: suspects.flat().length };
  }

  /** The last look, and an end to looking. */
  async stop() {
    this.#over = true;
    await this.#watching;
    await this.#look();
  }

  /** @returns {Promise<import("./history.d.mts").Leftovers>} */
  async leftovers() {
    const left = await this.#queue.leftovers();
    const counts = await this.counts();
    if (counts === undefined || this.#observer === undefined) return left;
    const { pending, claims, quarantined, suspects, claimsOfTheDead } = counts;
    const { findings } = await this.#observer.audit();
    return {
      ...left,
      store: { pending, claims, quarantined, suspects },
      claimsOfTheDead,
      findings: findings
        .filter(({ kind }) => kind !== STALE_CLAIM)
        .map(({ kind, job, detail }) => `${kind} ${job}: ${detail}`),
    };
  }

  async close() {
    this.#over = true;
    await this.#watching?.catch(() => {});
    await this.#observer?.stop();
  }

  async #watch() {
    while (!this.#over) {
      await this.#look();
      await sleep(EVERY);
    }
  }

  async #look() {
    for (const fact of await this.#queue.facts()) {
      this.facts.push(fact);
      if (fact.what === "completed" || fact.what === "failed") this.#ended.add(fact.job);
    }
    for (const kind of KINDS) for (const event of await this.#news(kind)) this.#note(event);
  }

  /* The ledger tells the newest first. */
  async #news(/** @type {typeof KINDS[number]} */ kind) {
    /** @type {RecordedEvent[]} */
    const news = [];
    const known = this.#newest[kind];
    for (let cursor; this.#store !== undefined;) {
      /** @type {import("@assured-jobs/core").Page<RecordedEvent>} */
      const page = await this.#store.ledger.history(kind, { limit: PAGE, cursor });
      const seen = page.items.findIndex(({ id }) => id === known);
      news.push(...(seen < 0 ? page.items : page.items.slice(0, seen)));
      cursor = page.cursor;
      if (seen >= 0 || cursor === undefined) break;
    }
    this.#newest[kind] = news[0]?.id ?? known ?? "";
    return news.toReversed();
  }

  #note(/** @type {RecordedEvent} */ { type, at, who, job, run, evidence = "", detail }) {
    const own = evidence.startsWith("handed over");
    const holder = own ? who : /^held by (.+)$/.exec(evidence)?.[1];
    const seen = type === "instance.dead" ? `${detail}: ${evidence}` : detail;
    this.ledger.push({ type, at, who, job, run, holder, detail: seen });
    if (type === "instance.dead") this.#dead.add(who);
  }
}
