/* When to recover: a pass for each death at once, one each recovery interval, and now and then a deep one.
 *
 * A pass looks through those who died lately: what a dead process had sent may still arrive. A deep pass looks through
 * all dead that are still listed, and so does the first pass after a duty was taken, because the former holder may
 * have died in the middle of anything.
 */
import type { QueueAdapter } from "./adapter.ts";
import type { Auditor } from "./audit.ts";
import type { Events } from "./events.ts";
import { WATCH } from "./liveness.ts";
import type { Liveness } from "./liveness.ts";
import { Loop } from "./loop.ts";
import type { Settings } from "./options.ts";
import type { PassReport, Recoverer } from "./recoverer.ts";
import type { Death, Store } from "./store.ts";

/** Observed time for which each pass looks through a dead incarnation again, ms. */
const SWEPT_FOR = 120_000;
/** Observed time after which a dead incarnation is forgotten, ms; its tombstone stays. */
const LISTED_FOR = 24 * 3_600_000;

/** Result of recover(): one report for each queue of this process. */
export interface RecoveryReport {
  readonly queues: readonly PassReport[];
  readonly requeued: number;
  readonly buried: number;
  readonly failed: number;
}

export interface RecoveryParts {
  readonly store: Store;
  readonly settings: Settings;
  readonly events: Events;
  readonly liveness: Liveness;
  readonly recoverer: Recoverer;
  readonly auditor: Auditor;
  readonly adapters: readonly QueueAdapter[];
}

export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #schedule: Loop;
  /** One for each queue, so that a queue that does not answer delays no other. */
  readonly #patrols = new Map<string, Loop>();
  readonly #running = new Map<string, { readonly since: number; readonly pass: Promise<PassReport> }>();
  readonly #stopping = new AbortController();
  /** Queues whose next pass must be a deep one. */
  readonly #deep = new Set<string>();
  #dead: { readonly deaths: number; readonly list: readonly Death[] } | undefined;
  #deepPasses = 0;
  #nextDeep = 0;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#schedule = new Loop(() => this.#step());
    parts.events.on("duty.taken", ({ duty }) => this.#deep.add(duty));
  }

  start(): void {
    this.#nextDeep = Date.now() + this.#deepDelay();
    this.#schedule.start();
  }

  wake(): void {
    for (const patrol of this.#patrols.values()) patrol.wake();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#schedule.stop();
    await Promise.all([...this.#patrols.values()].map((patrol) => patrol.stop()));
  }

  /** Queues to hold the duty of: all of this process, but none whose pass takes longer than a pass may. */
  wanted(): readonly string[] {
    const { autoRecovery, recoveryLockTtl } = this.#parts.settings;
    if (!autoRecovery) return [];
    const stuck = (queue: string): boolean =>
      Date.now() - (this.#running.get(queue)?.since ?? Infinity) > recoveryLockTtl;
    return this.#queues()
      .map(({ queue }) => queue)
      .filter((queue) => !stuck(queue));
  }

  /** One deep pass over every queue of this process, now, on duty or not. */
  async recoverAll(): Promise<RecoveryReport> {
    await this.#parts.liveness.look();
    const dead = await this.#parts.store.roster.dead();
    const queues = await Promise.all(this.#queues().map(({ adapter, queue }) => this.#pass(adapter, queue, dead)));
    const sum = (count: (report: PassReport) => number): number =>
      queues.reduce((total, report) => total + count(report), 0);
    return {
      queues,
      requeued: sum((one) => one.requeued),
      buried: sum((one) => one.buried),
      failed: sum((one) => one.failed),
    };
  }

  #queues(): { adapter: QueueAdapter; queue: string }[] {
    return this.#parts.adapters.flatMap((adapter) => adapter.queues.map((queue) => ({ adapter, queue })));
  }

  async #step(): Promise<number> {
    await this.#followQueues();
    try {
      if (Date.now() >= this.#nextDeep) await this.#startDeep();
    } catch (error) {
      this.#parts.events.failed("deep pass", error);
    }
    return this.#parts.settings.recoveryInterval;
  }

  /* Queues come and go while the process runs. */
  async #followQueues(): Promise<void> {
    const now = new Map(this.#queues().map(({ adapter, queue }) => [queue, adapter]));
    for (const [queue, patrol] of this.#patrols) {
      if (now.has(queue)) continue;
      this.#patrols.delete(queue);
      await patrol.stop();
    }
    for (const [queue, adapter] of now) {
      if (this.#patrols.has(queue)) continue;
      const patrol = new Loop(() => this.#attend(adapter, queue));
      this.#patrols.set(queue, patrol);
      patrol.start();
    }
  }

  async #listed(): Promise<readonly Death[]> {
    const { liveness, store } = this.#parts;
    const deaths = liveness.last?.deaths ?? 0;
    if (this.#dead?.deaths !== deaths) this.#dead = { deaths, list: await store.roster.dead() };
    return this.#dead.list;
  }

  /* The upkeep first: it guards the living, and must not wait for the dead. */
  async #attend(adapter: QueueAdapter, queue: string): Promise<number> {
    const { liveness, events, settings } = this.#parts;
    if (!liveness.held.has(queue)) return settings.recoveryInterval;
    const deep = this.#deep.delete(queue);
    try {
      const dead = await this.#listed();
      await adapter.upkeep?.(queue, await liveness.fleet(queue));
      const observed = liveness.last?.observed ?? 0;
      await this.#pass(adapter, queue, deep ? dead : dead.filter((death) => observed - death.observed < SWEPT_FOR));
    } catch (error) {
      if (deep) this.#deep.add(queue);
      events.failed(`recovery of ${queue}`, error);
    }
    return settings.recoveryInterval;
  }

  /* One pass per queue at a time: who asks meanwhile gets the next one. */
  async #pass(adapter: QueueAdapter, queue: string, dead: readonly Death[]): Promise<PassReport> {
    await this.#running.get(queue)?.pass.catch(() => {});
    const pass = this.#parts.recoverer.pass(adapter, queue, { dead, stopping: this.#stopping.signal });
    this.#running.set(queue, { since: Date.now(), pass });
    try {
      return await pass;
    } finally {
      this.#running.delete(queue);
    }
  }

  async #startDeep(): Promise<void> {
    const { liveness, auditor } = this.#parts;
    this.#deepPasses++;
    this.#nextDeep = Date.now() + this.#deepDelay();
    for (const queue of liveness.held) this.#deep.add(queue);
    if (liveness.held.has(WATCH)) await this.#forgetOld();
    await auditor.audit({ repair: true, queues: liveness.held });
  }

  /* Only those whose every queue is known here: an orphan that nobody could look for stays listed. */
  async #forgetOld(): Promise<void> {
    const { store, liveness, events } = this.#parts;
    const known = new Set(this.#queues().map(({ queue }) => queue));
    for (const { registration, observed } of await store.roster.dead()) {
      const unknown = Object.keys(registration.holders).find((queue) => !known.has(queue));
      if (unknown !== undefined)
        events.emit("orphan.unknown-queue", { queue: unknown, incarnation: registration.incarnation });
      else if ((liveness.last?.observed ?? 0) - observed > LISTED_FOR)
        await store.roster.forget(registration.incarnation);
    }
  }

  #deepDelay(): number {
    const { delayedRecoveryCount, delayedRecoveryInterval, deepPassInterval } = this.#parts.settings;
    return this.#deepPasses < delayedRecoveryCount ? delayedRecoveryInterval : deepPassInterval;
  }
}
