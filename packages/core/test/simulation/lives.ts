/* The oracle of the roster: it knows when each incarnation was really heard, and that the dead stay dead.
 *
 * A death must have an excuse (somebody stood still, was cut off or was killed), and its evidence must be true in the
 * very moment in which it is declared: who was heard just now, or is present, is not declared dead.
 */
import type { MemoryServer } from "../../src/testing/index.ts";
import type { Death, Roster } from "../../src/store.ts";
import { watched } from "./watched.ts";
import type { World } from "./world.ts";

export interface LivesOptions {
  readonly world: World;
  readonly server: MemoryServer;
  readonly namespace: string;
  /** Why somebody may be taken for dead; undefined: he may not. */
  readonly excuse: (death: Death) => string | undefined;
  /** Told of each death in the moment of its declaration. */
  readonly died: (death: Death) => void;
}

/** By so much steps of the store's clock may age the living, ms: each by two looks. */
const STEPS = 1_500;

export class Lives {
  readonly #options: LivesOptions;
  readonly #beats = new Map<string, number>();
  readonly #dead = new Set<string>();

  constructor(options: LivesOptions) {
    this.#options = options;
  }

  /** The roster on the server, watched. */
  roster(near: Roster): Roster {
    return watched(near, {
      declare: async (suspect) => {
        const death = await near.declare(suspect);
        if (death) this.#declared(death);
        return death;
      },
      beat: async (given) => {
        const reply = await near.beat(given);
        this.#heard(given.incarnation, reply === "alive");
        return reply;
      },
      register: async (given) => {
        const registered = await near.register(given);
        this.#heard(given.incarnation, !registered.fenced);
        return registered;
      },
    });
  }

  /** When an incarnation was heard last, in true time. */
  lastBeat(incarnation: string): number {
    return this.#beats.get(incarnation) ?? -Infinity;
  }

  /** The store lost its tombstones with everything else. */
  forget(): void {
    this.#dead.clear();
  }

  #heard(incarnation: string, accepted: boolean): void {
    this.#beats.set(incarnation, this.#options.world.clock.now);
    if (accepted && this.#dead.has(incarnation)) this.#options.world.broken(`${incarnation} was dead and lives again`);
  }

  #declared(death: Death): void {
    const { world, excuse, died } = this.#options;
    const { registration, cause, evidence } = death;
    const { incarnation } = registration;
    world.note("oracle", "declared dead", `${incarnation}: ${evidence}`);
    this.#dead.add(incarnation);
    died(death);
    if (cause === "left") return;
    if (!this.#isTrue(death)) world.broken(`${incarnation} was declared dead, but the evidence is wrong: ${evidence}`);
    if (excuse(death) === undefined) world.broken(`${incarnation} lives and was declared dead: ${evidence}`);
  }

  #isTrue({ registration: { incarnation, ttl }, cause }: Death): boolean {
    const { world, server, namespace } = this.#options;
    if (cause !== "lapsed") return !server.present(namespace, incarnation);
    return world.clock.now - this.lastBeat(incarnation) >= ttl - STEPS;
  }
}
