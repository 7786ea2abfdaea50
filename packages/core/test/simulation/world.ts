/* What all parts of one schedule share: its time, its chance, its misfortunes, and the trace of what happened. */
import { Clock } from "./clock.ts";
import { Fates } from "./fates.ts";
import { enter, leave } from "./realm.ts";
import { seeded } from "./random.ts";
import type { Random } from "./random.ts";

/** How to play a seed. */
export interface Playing {
  /** Numbers of misfortunes that are not to happen. */
  readonly spared?: ReadonlySet<number>;
  /** Keep the trace as text. */
  readonly traced?: boolean;
}

export class World {
  readonly clock: Clock = new Clock();
  readonly random: Random;
  readonly fates: Fates;
  /** As text, when it was asked for. */
  readonly trace: string[] = [];
  readonly violations: string[] = [];
  readonly #traced: boolean;
  #hash = 0x811c9dc5;

  constructor(seed: number, { spared = new Set(), traced = false }: Playing = {}) {
    this.random = seeded(seed);
    this.fates = new Fates(seeded(seed ^ 0x5bd1e995), spared);
    this.#traced = traced;
  }

  /** Stands for the whole trace: two schedules with the same steps at the same times have the same one. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  note(who: string, what: string, detail: string | number | boolean | undefined = ""): void {
    const { elapsed } = this.clock;
    this.#mix(elapsed);
    for (const text of [who, what]) for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
    if (this.#traced) this.trace.push(`${String(elapsed).padStart(8)} ${who.padEnd(10)} ${what} ${detail}`);
  }

  /** A promise is broken: the schedule ends here. */
  broken(what: string): void {
    this.note("oracle", "BROKEN:", what);
    this.violations.push(what);
    this.clock.stop();
  }

  async run(): Promise<void> {
    enter(this.clock, this.random);
    try {
      await this.clock.run();
    } finally {
      leave();
    }
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193);
  }
}
