/* Who lives, as this process sees it: one look after another at the roster.
 *
 * Every worker may look; the store gives the duties to one at a time. The one on watch lets observed time advance and
 * declares who is dead, which the store checks again in the same instant. The others ask now and then whether a duty
 * has become free, less often the more of them there are, so that the whole fleet asks about as often as one would.
 */
import { Loop } from "./loop.ts";
import type { Events } from "./events.ts";
import type { Incarnation, Registration } from "./instance.ts";
import type { Settings } from "./options.ts";
import type { Look, Store, Suspect } from "./store.ts";
import type { Fleet } from "./adapter.ts";

export const WATCH = "watch";
/** A duty lapses after so many recovery intervals without a look of its holder. */
const DUTY_INTERVALS = 3;
/** With so many ms of patience per instance, a fleet of any size asks about 20 times a second altogether. */
const PATIENCE = 50;
const PAGE = 500;

export interface LivenessParts {
  readonly store: Store;
  readonly settings: Settings;
  readonly events: Events;
  readonly self: () => Incarnation;
  /** Queues whose recovery this process wants to do now. */
  readonly wanted: () => readonly string[];
  /** Called after a look that saw new deaths or brought new duties. */
  readonly onNews: () => void;
}

export class Liveness {
  readonly #parts: LivenessParts;
  readonly #loop: Loop;
  #last: Look | undefined;
  #held: ReadonlySet<string> = new Set();
  #roster: { readonly changes: number; readonly registrations: readonly Registration[] } | undefined;
  #distrusted = false;

  constructor(parts: LivenessParts) {
    this.#parts = parts;
    this.#loop = new Loop(() => this.#step());
  }

  get last(): Look | undefined {
    return this.#last;
  }

  get held(): ReadonlySet<string> {
    return this.#held;
  }

  start(): void {
    this.#loop.start();
  }

  wake(): void {
    this.#loop.wake();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  /** One look, and the deaths that follow from it. Rejects when the store cannot be reached. */
  async look(): Promise<Look> {
    const { store, settings, self, wanted } = this.#parts;
    const look = await store.roster.look({
      by: self(),
      duties: [WATCH, ...wanted()],
      dutyTtl: DUTY_INTERVALS * settings.recoveryInterval,
      interval: settings.lookInterval,
    });
    const former = this.#last;
    this.#last = look;
    const news = this.#noteDuties(look.held);
    this.#noteHealth(look);
    const declared = await Promise.all(look.suspects.map((suspect) => this.#declare(suspect)));
    if (news || declared.includes(true) || (former !== undefined && former.deaths !== look.deaths))
      this.#parts.onNews();
    return look;
  }

  /** Gives up all duties, so that somebody else need not wait for them to lapse. */
  async yieldDuties(): Promise<void> {
    const duties = [...this.#held];
    this.#noteDuties([]);
    await this.#parts.store.roster.yieldDuties(this.#parts.self(), duties);
  }

  /** The living as one queue knows them, and who of them cannot speak for itself now. */
  async fleet(queue: string): Promise<Fleet> {
    const look = this.#last;
    const registrations = await this.#registrations(look?.changes ?? -1);
    const mute = new Set([...(look?.late ?? []), ...(look?.blocked ?? [])]);
    const idsOf = (some: readonly Registration[]): Set<string> =>
      new Set(some.flatMap(({ holders }) => holders[queue] ?? []));
    return {
      observed: look?.observed ?? 0,
      living: idsOf(registrations),
      mute: idsOf(registrations.filter(({ incarnation }) => mute.has(incarnation))),
    };
  }

  /** The other queues of all who serve this one: a job of theirs may share a process with one of its own. */
  async beside(queue: string): Promise<readonly string[]> {
    const registrations = await this.#registrations(this.#last?.changes ?? -1);
    const queues = registrations.map(({ holders }) => Object.keys(holders)).filter((served) => served.includes(queue));
    return [...new Set(queues.flat())].filter((other) => other !== queue);
  }

  /** Registered guests that serve the queue. */
  async guestsOf(queue: string): Promise<readonly Registration[]> {
    const registrations = await this.#registrations(this.#last?.changes ?? -1);
    return registrations.filter(({ pulse, holders }) => pulse === "guest" && holders[queue] !== undefined);
  }

  async #registrations(changes: number): Promise<readonly Registration[]> {
    if (this.#roster?.changes === changes) return this.#roster.registrations;
    const registrations: Registration[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#parts.store.roster.instances({ limit: PAGE, cursor });
      registrations.push(...page.items.map((item) => item.registration));
      cursor = page.cursor;
    } while (cursor !== undefined);
    this.#roster = { changes, registrations };
    return registrations;
  }

  async #step(): Promise<number> {
    const { lookInterval } = this.#parts.settings;
    try {
      const { population } = await this.look();
      if (this.#held.size > 0) return lookInterval;
      const patience = Math.max(lookInterval, population * PATIENCE);
      return patience * (0.5 + Math.random());
    } catch {
      this.#noteDuties([]); // the pulse tells about the store; a duty that cannot be renewed is not held
      return lookInterval;
    }
  }

  async #declare(suspect: Suspect): Promise<boolean> {
    const death = await this.#parts.store.roster.declare(suspect);
    if (death) this.#parts.events.emit("instance.dead", { death });
    return death !== undefined;
  }

  #noteDuties(held: readonly string[]): boolean {
    const { events } = this.#parts;
    const taken = held.filter((duty) => !this.#held.has(duty));
    for (const duty of this.#held) if (!held.includes(duty)) events.emit("duty.lost", { duty });
    this.#held = new Set(held);
    for (const duty of taken) events.emit("duty.taken", { duty });
    return taken.length > 0;
  }

  #noteHealth(look: Look): void {
    const { events } = this.#parts;
    if (look.distrusted && !this.#distrusted) events.emit("presence.distrusted", { observed: look.observed });
    this.#distrusted = look.distrusted;
    if (look.malformed > 0)
      events.warn(
        `The store holds ${look.malformed} record(s) that cannot be read; they were set aside under the key "malformed" of the namespace and stop nothing.`,
      );
  }
}
