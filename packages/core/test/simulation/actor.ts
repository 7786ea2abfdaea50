/* A bare process: one lane, a path to the store and one to the queues, and perhaps a step that is its last. */
import type { Store } from "../../src/store.ts";
import { far } from "./far.ts";
import { Lane } from "./lane.ts";
import type { NearStore } from "./oracle.ts";
import { Path } from "./path.ts";
import type { Weather } from "./path.ts";
import { between, pick } from "./random.ts";
import type { World } from "./world.ts";

export interface Stage {
  readonly world: World;
  /** The store as it is on the server. */
  readonly near: NearStore;
  readonly weather: Weather;
}

/** The last step of an actor is one of so many. */
const STEPS = 40;

export class Actor {
  readonly lane: Lane;
  readonly store: Pick<Store, "roster" | "casebook" | "ledger">;
  readonly queuePath: Path;
  readonly #stage: Stage;
  readonly #paths: readonly Path[];
  /** Steps that are left; undefined: it outlives the schedule. */
  #left: number | undefined;

  constructor(name: string, stage: Stage, mortality: number) {
    const { world, near } = stage;
    this.#stage = stage;
    this.lane = new Lane(world.clock, name);
    if (world.fates.strikes(mortality)) this.#left = between(world.random, 1, STEPS);
    const storePath = this.#path();
    this.queuePath = this.#path();
    this.#paths = [storePath, this.queuePath];
    this.store = {
      roster: far(storePath, "roster", near.roster),
      casebook: far(storePath, "casebook", near.casebook),
      ledger: far(storePath, "ledger", near.ledger),
    };
  }

  kill(): void {
    this.#stage.world.note(this.lane.name, "is killed");
    this.lane.kill();
  }

  pause(ms: number): void {
    this.#stage.world.note(this.lane.name, "is paused", ms);
    this.lane.pause();
    this.#stage.world.clock.schedule(undefined, ms, () => this.lane.resume());
  }

  /** From now on it lives, and its calls get through. */
  spare(): void {
    this.#left = undefined;
    for (const path of this.#paths) path.weather = { ...path.weather, requestLost: 0, replyLost: 0, slow: 0 };
  }

  #path(): Path {
    const { world, weather } = this.#stage;
    const path = new Path({ world, lane: this.lane, kill: () => this.kill(), lastStep: () => this.#step() });
    path.weather = weather;
    return path;
  }

  #step(): "before" | "after" | undefined {
    if (this.#left === undefined || --this.#left > 0) return undefined;
    return pick(this.#stage.world.random, ["before", "after"] as const);
  }
}
