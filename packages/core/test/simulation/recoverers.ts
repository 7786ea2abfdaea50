/* The first layer: the recovery of core alone, as dense as it gets. Two to five recoverers, each of whose steps may be
 * its last, give back what a few workers leave behind who die, stand still, or are condemned and go on as zombies.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { QueueAdapter } from "../../src/adapter.ts";
import { Events } from "../../src/events.ts";
import { readSettings } from "../../src/options.ts";
import type { Settings } from "../../src/options.ts";
import { Recoverer } from "../../src/recoverer.ts";
import { memoryServer } from "../../src/testing/index.ts";
import type { Store } from "../../src/store.ts";
import { Actor } from "./actor.ts";
import type { Stage } from "./actor.ts";
import { BareWorker } from "./bare-worker.ts";
import { ObservedQueue } from "./observed-queue.ts";
import { Oracle } from "./oracle.ts";
import { CALM } from "./path.ts";
import type { Weather } from "./path.ts";
import { between, pick } from "./random.ts";
import { recoveryVerbs } from "./recovery-verbs.ts";
import { World } from "./world.ts";
import type { Playing } from "./world.ts";

/** Virtual ms: until then things go wrong, and so long after it everything must be over. */
const STORM = 4_000;
const BOUND = 240_000;
const LOOK = 500;

const WEATHERS: readonly Weather[] = [
  CALM,
  { requestLost: 0, replyLost: 0, slow: 0.2, slowest: 300 },
  { requestLost: 0.02, replyLost: 0.05, slow: 0.1, slowest: 1_000 },
  { requestLost: 0.05, replyLost: 0.15, slow: 0.3, slowest: 100 },
];

export class RecoverersSchedule {
  readonly world: World;
  readonly #stage: Stage;
  readonly #oracle: Oracle;
  readonly #settings: Settings;
  readonly #queues: readonly ObservedQueue[];
  readonly #pills: ReadonlySet<string>;
  readonly #count: number;
  #recoverers: Actor[] = [];
  readonly #workers: BareWorker[] = [];
  readonly #condemned = new Set<string>();
  #passes = 0;

  constructor(seed: number, playing: Playing = {}) {
    const world = new World(seed, playing);
    const { random, clock } = world;
    const server = memoryServer({ now: () => clock.now });
    const maxRecoveries = between(random, 0, 2);
    const oracle = new Oracle({ world, server, maxRecoveries, excuse: () => undefined, audited: false });
    this.world = world;
    this.#settings = readSettings({ name: "recoverer", maxRecoveries }, {});
    this.#oracle = oracle;
    this.#stage = { world, near: oracle.near(), weather: pick(random, WEATHERS) };
    this.#queues = (random() < 0.3 ? ["a", "b"] : ["a"]).map((name) => new ObservedQueue(name, oracle));
    this.#count = between(random, 2, 5);
    this.#pills = new Set(random() < 0.4 ? ["1"] : []);
  }

  async play(): Promise<void> {
    const { world } = this.#stage;
    const { clock, random } = world;
    for (let i = 1; i <= between(random, 1, 4); i++) {
      const queue = pick(random, this.#queues);
      clock.schedule(undefined, between(random, 0, 300), () => queue.add(String(i)));
      this.#oracle.added(queue, String(i));
    }
    for (let i = 0; i < this.#count; i++) this.#addRecoverer();
    this.#tend();
    this.#inspect();
    await world.run();
  }

  /* New workers for those that are gone, misfortunes for the others. */
  #tend(): void {
    const { world } = this.#stage;
    const { clock, random, fates } = world;
    if (this.#isStormy && fates.strikes(0.15)) pick(random, this.#recoverers).pause(between(random, 10, 2_000));
    const living = this.#workers.filter((worker) => !worker.isGone);
    for (const { name, actor } of living) {
      if (!this.#isStormy) continue;
      if (fates.strikes(0.05)) actor.pause(between(random, 10, 3_000));
      if (fates.strikes(0.1)) this.#condemned.add(name);
      if (fates.strikes(0.05)) actor.kill();
    }
    if (this.#isStormy && fates.strikes(0.1)) this.#stall();
    for (const { name, isGone } of this.#workers) if (isGone && random() < 0.7) this.#condemned.add(name);
    if (living.length < 2) this.#addWorker();
    clock.schedule(undefined, between(random, 50, 400), () => this.#tend());
  }

  /* The queue has a check of its own, which knows nothing of ours. */
  #stall(): void {
    const dead = new Set(this.#workers.filter(({ isGone }) => isGone).map(({ name }) => name));
    const queue = pick(this.#stage.world.random, this.#queues);
    for (const job of queue.heldBy(dead)) queue.stall(job);
  }

  get #isStormy(): boolean {
    return this.#stage.world.clock.elapsed < STORM;
  }

  #inspect(): void {
    const { world } = this.#stage;
    const { clock, fates } = world;
    if (!this.#isStormy) {
      fates.end();
      for (const actor of this.#recoverers) actor.spare();
      for (const { actor } of this.#workers) actor.spare();
    }
    this.#recoverers = this.#recoverers.filter(({ lane }) => !lane.isDead);
    if (this.#recoverers.length === 0) this.#addRecoverer();
    const unfinished = clock.elapsed > 1_000 ? this.#oracle.unfinished() : ["it has only begun"];
    if (unfinished.length === 0) {
      this.#oracle.conclude();
      return clock.stop();
    }
    if (clock.elapsed > STORM + BOUND) return world.broken(`not over: ${unfinished.join(", ")}`);
    clock.schedule(undefined, LOOK, () => this.#inspect());
  }

  #addWorker(): void {
    const { random } = this.#stage.world;
    const options = {
      queues: this.#queues,
      concurrency: between(random, 1, 4),
      isPill: (id: string) => this.#pills.has(id),
      mortality: 0.4,
    };
    this.#workers.push(new BareWorker(`w${this.#workers.length + 1}`, this.#stage, options));
  }

  #addRecoverer(): void {
    const actor = new Actor(`r${++this.#passes}`, this.#stage, 0.6);
    this.#recoverers.push(actor);
    this.#stage.world.clock.schedule(actor.lane, 0, () => void this.#recover(actor));
  }

  async #recover(actor: Actor): Promise<void> {
    const { world } = this.#stage;
    const events = new Events();
    events.on("orphan.failed", () => {});
    const store = actor.store as Store;
    const recoverer = new Recoverer({
      store,
      plugins: [],
      settings: this.#settings,
      events,
      self: () => actor.lane.name,
    });
    const adapters = this.#queues.map((queue) => [queue, recoveryVerbs(actor.queuePath, queue, () => false)] as const);
    const stopping = new AbortController().signal;
    const besides = (one: ObservedQueue) => async () =>
      this.#queues.filter((queue) => queue !== one).map(({ key }) => key);
    for (;;) {
      try {
        for (const incarnation of this.#condemned) await this.#declare(actor, incarnation);
        const dead = await actor.store.roster.dead();
        for (const [queue, verbs] of adapters)
          await recoverer.pass(verbs as QueueAdapter, queue.key, {
            dead,
            stopping,
            observed: 0,
            beside: besides(queue),
          });
      } catch {
        // What a pass could not do is left to the next one.
      }
      await delay(this.#isStormy ? between(world.random, 10, 400) : between(world.random, 300, 1_500));
    }
  }

  async #declare(actor: Actor, incarnation: string): Promise<void> {
    await actor.store.roster.declare({ incarnation, cause: "left" });
    this.#condemned.delete(incarnation);
  }
}
