/* Guests: processes that work on a queue without our code, in the roster like any other instance.
 *
 * They do not beat, so nothing here lets them lapse: their lease is as good as endless, and they die only when the books
 * of their queue say so. The one on duty for the queue reads those and writes what it saw; two who do so at once agree,
 * since each step may be repeated, and a tombstone is final. Who is gone from the books without a word has left, and may
 * be listed again: so it leaves no tombstone.
 */
import type { Guest, QueueAdapter } from "./adapter.ts";
import type { Events } from "./events.ts";
import { PROTOCOL } from "./instance.ts";
import type { Incarnation, Registration } from "./instance.ts";
import type { Liveness } from "./liveness.ts";
import type { Store } from "./store.ts";

/** ms: ten years. */
const ENDLESS = 315_360_000_000;
/** How often a living guest is written again, ms. */
const RENEW = 15_000;
/** Who is missing in the books for so long has left; two who read them do not see the same instant. ms */
const MISSED = 30_000;

export interface GuestsParts {
  readonly store: Store;
  readonly events: Events;
  readonly liveness: Liveness;
}

export class Guests {
  readonly #parts: GuestsParts;
  /** By performance.now(): when each was written, and since when it is missing. */
  readonly #written = new Map<Incarnation, number>();
  readonly #missing = new Map<Incarnation, number>();

  constructor(parts: GuestsParts) {
    this.#parts = parts;
  }

  /** Brings the roster up to date with the books of one queue. Rejects when they, or the store, cannot be read. */
  async follow(adapter: QueueAdapter, queue: string): Promise<void> {
    const guests = await adapter.guests?.(queue);
    if (guests === undefined) return;
    for (const guest of guests) await (guest.state === "alive" ? this.#greet(guest) : this.#bury(guest));
    await this.#partWith(queue, new Set(guests.map(({ incarnation }) => incarnation)));
  }

  async #greet(guest: Guest): Promise<void> {
    const now = performance.now();
    if (now - (this.#written.get(guest.incarnation) ?? Number.NEGATIVE_INFINITY) < RENEW) return;
    await this.#parts.store.roster.register(registrationOf(guest));
    this.#written.set(guest.incarnation, now);
  }

  async #bury(guest: Guest): Promise<void> {
    const { incarnation, evidence } = guest;
    const { roster } = this.#parts.store;
    const { fenced } = await roster.register(registrationOf(guest));
    if (fenced) return; // declared before
    const death = await roster.declare({ incarnation, cause: "reported", evidence });
    this.#written.delete(incarnation);
    if (death) this.#parts.events.emit("instance.dead", { death });
  }

  async #partWith(queue: string, listed: ReadonlySet<Incarnation>): Promise<void> {
    const registered = await this.#parts.liveness.guestsOf(queue);
    const now = performance.now();
    for (const { incarnation } of registered) {
      if (listed.has(incarnation)) this.#missing.delete(incarnation);
      else if (!this.#missing.has(incarnation)) this.#missing.set(incarnation, now);
      else if (now - this.#missing.get(incarnation)! >= MISSED) {
        await this.#parts.store.roster.retire(incarnation, true);
        this.#missing.delete(incarnation);
        this.#written.delete(incarnation);
      }
    }
  }
}

const registrationOf = ({ incarnation, name, host, pid, startedAt, holders }: Guest): Registration => ({
  incarnation,
  name,
  host,
  pid,
  startedAt,
  holders,
  protocol: PROTOCOL,
  ttl: ENDLESS,
  interval: ENDLESS,
  grace: 0,
  pulse: "guest",
});
