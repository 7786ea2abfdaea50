/* The life of this process in the roster: registered, beating, perhaps fenced and born again, at last retired.
 *
 * Fenced means: others were entitled to give our jobs away. So nothing of this incarnation may go on: fetching pauses,
 * the runs are told to stop, and only when the last of them has ended does a new incarnation start, under new holder
 * ids. A run that ignores its signal delays the rebirth; its late writes are refused by the queue.
 */
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import type { QueueAdapter } from "./adapter.ts";
import { AssuranceError, isPassing, reasonOf } from "./errors.ts";
import type { Events } from "./events.ts";
import { newIncarnation, PROTOCOL } from "./instance.ts";
import type { Incarnation, Registration } from "./instance.ts";
import type { Claims } from "./claims.ts";
import type { Settings } from "./options.ts";
import type { Runs } from "./runs.ts";
import type { Pulse, PulseListener, Store } from "./store.ts";

/** Phase of this process in the roster. */
export type Phase = "new" | "member" | "fenced" | "leaving" | "gone";

/** A run that does not end for so long after it was told to is worth a warning. */
const PATIENCE = 30_000;
/** Jobs that wait for their process to be known wait no longer than this, ms. */
const PULSE_PATIENCE = 2_000;

export interface MembershipParts {
  readonly store: Store;
  readonly settings: Settings;
  readonly events: Events;
  readonly adapters: readonly QueueAdapter[];
  readonly runs: Runs;
  readonly claims: Claims;
  /** Somebody said that there are deaths to look at. */
  readonly onNudge: () => void;
}

export class Membership {
  readonly #parts: MembershipParts;
  #incarnation: Incarnation;
  #pulse: Pulse | undefined;
  #phase: Phase = "new";
  #storeUp: boolean | undefined;
  /** The rebirth that goes on, or the last one. */
  #born: Promise<void> = Promise.resolve();

  constructor(parts: MembershipParts) {
    this.#parts = parts;
    this.#incarnation = newIncarnation(parts.settings.name);
  }

  get incarnation(): Incarnation {
    return this.#incarnation;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get pulse(): Pulse | undefined {
    return this.#pulse;
  }

  get storeUp(): boolean {
    return this.#storeUp ?? false;
  }

  /**
   * Starts to beat. Resolves when the store knows us, or, with `wait` false, at once. A store that goes away meanwhile
   * is waited for no longer, unless it is `required`: the pulse goes on trying to register.
   */
  async join(wait: boolean, required: boolean): Promise<void> {
    this.#phase = "member";
    await this.#beat(this.#registration());
    try {
      if (wait) await this.#introduce();
    } catch (error) {
      if (required || !isPassing(error)) return await this.#turnBack(error);
      this.noteStore(false, reasonOf(error));
    }
    this.#parts.events.emit("instance.started", { incarnation: this.#incarnation, name: this.#parts.settings.name });
  }

  /** Holder ids or queues changed. Resolves once the store knows; without a store, at once. */
  async changed(): Promise<void> {
    if (this.#phase === "new" || this.#phase === "gone") return;
    const update = this.#pulse?.update(this.#registration());
    if (this.#storeUp) await update;
  }

  /** A rebirth that goes on ends first, soon: what it makes the adapters fetch must not escape the handover. */
  async leave(): Promise<void> {
    this.#phase = "leaving";
    await Promise.race([this.#born.catch(() => {}), delay(PULSE_PATIENCE, undefined, { ref: false })]);
    await this.#parts.store.roster.leave(this.#incarnation);
  }

  /** The end. `clean`: everything was handed over; otherwise the others are told to look for the rest. */
  async end(clean: boolean): Promise<void> {
    const { roster } = this.#parts.store;
    this.#phase = "gone";
    try {
      if (clean) await roster.retire(this.#incarnation);
      else await roster.declare({ incarnation: this.#incarnation, cause: "left" });
    } finally {
      await this.#pulse?.stop();
    }
    this.#parts.events.emit("instance.retired", { incarnation: this.#incarnation });
  }

  async #beat(registration: Registration): Promise<void> {
    this.#pulse = await this.#parts.store.pulse(registration, this.#listener(registration.incarnation));
  }

  /* Also by the main loop, which hears what is wrong. The pulse comes first: a loop that is blocked now dies of nothing. */
  async #introduce(): Promise<void> {
    const { store, events, settings } = this.#parts;
    const { siblings } = await store.roster.register(this.#registration());
    this.noteStore(true);
    if (siblings.length > 0) {
      events.warn(
        `Another live process has the name ${JSON.stringify(settings.name)} (${siblings.join(", ")}). Both are safe, but give each its own name (option name or ASSURED_JOBS_INSTANCE_ID) so that a restart is recognised at once.`,
      );
    }
    await Promise.race([this.#pulse?.ready, delay(PULSE_PATIENCE, undefined, { ref: false })]);
    void this.changed(); // a holder id that came meanwhile must not be lost to our own registration
  }

  async #turnBack(error: unknown): Promise<never> {
    this.#phase = "new";
    await this.#pulse?.stop();
    throw error;
  }

  #listener(incarnation: Incarnation): PulseListener {
    const { events, onNudge } = this.#parts;
    return {
      fenced: () => {
        if (incarnation === this.#incarnation)
          void this.#fenced().catch((error: unknown) => events.failed("rebirth", error));
      },
      nudged: onNudge,
      connection: (up, reason) => this.noteStore(up, reason),
      warn: (message) => events.warn(message),
    };
  }

  /** Told by the pulse, and by the one who opens the store. */
  noteStore(up: boolean, reason?: string): void {
    const before = this.#storeUp;
    if (up === before) return;
    this.#storeUp = up;
    if (up && before === undefined) return; // nothing was ever missing
    if (up) this.#parts.events.emit("store.up", {});
    else this.#parts.events.emit("store.down", { reason: reason ?? "unknown" });
  }

  async #fenced(): Promise<void> {
    if (this.#phase !== "member") return;
    const { adapters, runs, events } = this.#parts;
    const former = this.#incarnation;
    this.#phase = "fenced";
    events.emit("instance.fenced", { incarnation: former });
    const reason = new AssuranceError(
      "ERR_FENCED",
      `The incarnation ${former} was declared dead and its jobs were given away: what this run writes is refused.`,
    );
    const paused = Promise.allSettled(adapters.map((adapter) => adapter.pause()));
    runs.giveUpAll(reason);
    await paused;
    runs.giveUpAll(reason); // those that the last fetches brought
    if (!(await runs.idle(PATIENCE))) {
      events.warn(
        "This process was fenced, and a job in it ignores its signal: nothing new is fetched until that job has ended. Let handlers stop when currentJob().signal is aborted.",
      );
      await runs.idle();
    }
    if (this.#phase !== "fenced") return;
    this.#born = this.#rebirth(former);
    await this.#born;
  }

  /* The new incarnation is known without any holder id before the adapters take new ones and fetch again. */
  async #rebirth(former: Incarnation): Promise<void> {
    const { adapters, claims, events, settings } = this.#parts;
    await this.#pulse?.stop();
    if (!this.#isIn("fenced")) return; // it leaves meanwhile
    this.#incarnation = newIncarnation(settings.name);
    claims.forget();
    this.#phase = "member";
    await this.#beat({ ...this.#registration(), holders: {} });
    if (!this.#isIn("member")) return this.#pulse?.stop();
    for (const adapter of adapters) {
      if (!this.#isIn("member")) return;
      // One that fails must not keep the others paused.
      await adapter.resume({ renew: true }).catch((error: unknown) => events.failed(`resuming ${adapter.name}`, error));
    }
    await this.changed();
    if (!this.#isIn("member")) return;
    events.emit("instance.reborn", { incarnation: this.#incarnation, former });
  }

  /* Asked after each step that takes time: somebody may have begun to leave. */
  #isIn(phase: Phase): boolean {
    return this.#phase === phase;
  }

  #registration(): Registration {
    const { settings, adapters } = this.#parts;
    const holders: Record<string, readonly string[]> = {};
    for (const adapter of adapters) {
      // Two adapters may have workers of one queue.
      for (const queue of adapter.queues) holders[queue] = [...(holders[queue] ?? []), ...adapter.holders(queue)];
    }
    return {
      incarnation: this.#incarnation,
      name: settings.name,
      host: hostname(),
      pid: process.pid,
      startedAt: Math.round(performance.timeOrigin),
      protocol: PROTOCOL,
      ttl: settings.heartbeatTtl,
      interval: settings.heartbeatInterval,
      grace: settings.presenceGrace,
      pulse: this.#pulse?.mode ?? "thread",
      holders,
    };
  }
}
