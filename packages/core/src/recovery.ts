/* When to recover: a pass for each death at once, one each recovery interval, and now and then a deep one.
 *
 * A pass looks through those who died lately: what a dead process had sent may still arrive. A deep pass looks through
 * all dead that are still listed, and so does the first pass after a duty was taken, because the former holder may
 * have died in the middle of anything.
 */
import type { QueueAdapter } from "./adapter.ts";
import type { Auditor } from "./audit.ts";
import type { Events } from "./events.ts";
import { Guests } from "./guests.ts";
import { WATCH } from "./liveness.ts";
import type { Liveness } from "./liveness.ts";
import { Loop } from "./loop.ts";
import type { Settings } from "./options.ts";
import type { PassReport, Recoverer } from "./recoverer.ts";
import type { Death, Store } from "./store.ts";

/** Observed time for which each pass looks through a dead incarnation again, ms. */
const SWEPT_FOR = 120_000;
/** A pass that goes on when this process leaves gets this long to end, ms; whatever it does is safe to leave half-way. */
const LAST_PASS = 2_000;
/** Observed time after which a dead incarnation is forgotten, ms; its tombstone stays. */
const LISTED_FOR = 24 * 3_600_000;

/** Result of recover(): one report for each queue of this process. */
export interface RecoveryReport {
  readonly queues: readonly PassReport[];
  readonly requeued: number;
  readonly buried: number;
  readonly failed: number;
  readonly waiting: number;
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
  readonly #guests: Guests;
  readonly #schedule: Loop;
  /** One for each queue, so that a queue that does not answer delays no other. */
  readonly #patrols = new Map<string, Loop>();
  /** The pass of each queue that goes on here. */
  readonly #running = new Map<string, Promise<PassReport>>();
  /** Since when each queue is attended to. */
  readonly #attending = new Map<string, number>();
  readonly #stopping = new AbortController();
  /** Queues whose next pass must be a deep one. */
  readonly #deep = new Set<string>();
  /** Queues to be audited after their next pass. */
  readonly #unaudited = new Set<string>();
  #dead: { readonly deaths: number; readonly list: readonly Death[] } | undefined;
  #deepPasses = 0;
  #nextDeep = 0;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#guests = new Guests(parts);
    this.#schedule = new Loop(() => this.#step());
    parts.events.on("duty.taken", ({ duty }) => this.#deep.add(duty));
  }

  start(): void {
    this.#nextDeep = performance.now() + this.#deepDelay();
    this.#schedule.start();
  }

  wake(): void {
    for (const patrol of this.#patrols.values()) patrol.wake();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const loops = [this.#schedule, ...this.#patrols.values()];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, LAST_PASS)));
    await Promise.race([Promise.all(loops.map((loop) => loop.stop())), late]);
    clearTimeout(timer);
  }

  /** Queues to hold the duty of: all of this process, but none that is attended to for longer than a pass may take. */
  wanted(): readonly string[] {
    const { autoRecovery, recoveryLockTtl } = this.#parts.settings;
    if (!autoRecovery) return [];
    const stuck = (queue: string): boolean =>
      performance.now() - (this.#attending.get(queue) ?? Infinity) > recoveryLockTtl;
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
      waiting: sum((one) => one.waiting),
    };
  }

  #queues(): { adapter: QueueAdapter; queue: string }[] {
    return this.#parts.adapters.flatMap((adapter) => adapter.queues.map((queue) => ({ adapter, queue })));
  }

  async #step(): Promise<number> {
    await this.#followQueues();
    try {
      if (performance.now() >= this.#nextDeep) await this.#startDeep();
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
      void patrol.stop(); // its last pass may take long, and the other queues do not wait for it
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
    this.#attending.set(queue, performance.now());
    const deep = this.#deep.delete(queue);
    try {
      const dead = await this.#listed();
      await adapter.upkeep?.(queue, await liveness.fleet(queue));
      await this.#guests.follow(adapter, queue).catch((error: unknown) => events.failed(`guests of ${queue}`, error));
      const observed = liveness.last?.observed ?? 0;
      await this.#pass(adapter, queue, deep ? dead : dead.filter((death) => observed - death.observed < SWEPT_FOR));
      if (this.#unaudited.delete(queue)) await this.#parts.auditor.audit({ repair: true, queues: new Set([queue]) });
    } catch (error) {
      if (deep) this.#deep.add(queue);
      events.failed(`recovery of ${queue}`, error);
    } finally {
      this.#attending.delete(queue);
    }
    return settings.recoveryInterval;
  }

  /* One pass per queue at a time: who asks meanwhile gets the next one. */
  async #pass(adapter: QueueAdapter, queue: string, dead: readonly Death[]): Promise<PassReport> {
    while (this.#running.has(queue)) await this.#running.get(queue)?.catch(() => {});
    const { liveness, recoverer } = this.#parts;
    const pass = recoverer.pass(adapter, queue, {
      dead,
      observed: liveness.last?.observed ?? 0,
      beside: () => liveness.beside(queue),
      stopping: this.#stopping.signal,
    });
    this.#running.set(queue, pass);
    try {
      return await pass;
    } finally {
      this.#running.delete(queue);
    }
  }

  async #startDeep(): Promise<void> {
    const { held } = this.#parts.liveness;
    this.#deepPasses++;
    this.#nextDeep = performance.now() + this.#deepDelay();
    for (const queue of held) {
      this.#deep.add(queue);
      this.#unaudited.add(queue);
    }
    if (held.has(WATCH)) await this.#forgetOld();
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
