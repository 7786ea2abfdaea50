/* The second layer: whole assurances, for virtual minutes. Jobs of many kinds run in a few processes while the chaos of
 * a theme goes on; then everything heals, and everything must be over soon: each job ended or buried, nobody fenced.
 */
import { memoryServer } from "../../src/testing/index.ts";
import type { AssuranceOptions } from "../../src/options.ts";
import type { HeldJob, MemoryServer } from "../../src/testing/index.ts";
import type { Death } from "../../src/store.ts";
import { Chaos, THEMES } from "./chaos.ts";
import type { Theme } from "./chaos.ts";
import { ObservedQueue } from "./observed-queue.ts";
import { Oracle } from "./oracle.ts";
import type { NearStore } from "./oracle.ts";
import { between, pick } from "./random.ts";
import { SimProcess } from "./sim-process.ts";
import type { Work } from "./worker-adapter.ts";
import { World } from "./world.ts";
import type { Playing } from "./world.ts";

/** Virtual ms: until then things go wrong, and so long after it everything must be over. */
const STORM = 15_000;
const BOUND = 200_000;
/** A suspect that nobody lets out is due by itself at last. */
const PARKED = 400_000;
const LOOK = 1_000;
/** How long the queue keeps a job for a holder that does not renew it. */
const LOCK = 10_000;
/** So long after a reset a closed subscription excuses a death by absence: grace and reconnection. */
const AFTERMATH = 15_000;

export class FleetSchedule {
  readonly world: World;
  readonly theme: Theme;
  readonly server: MemoryServer;
  readonly oracle: Oracle;
  /** By name: one of a name lives at a time. */
  readonly slots: (SimProcess | undefined)[];
  deaths = 0;
  readonly #all: SimProcess[] = [];
  readonly #settings: Omit<AssuranceOptions, "adapters" | "store" | "name">;
  readonly #queues: readonly ObservedQueue[];
  /** Since when jobs are held by their proof, and not run. */
  readonly #unrenewed = new Map<string, number>();
  readonly #works = new Map<string, Work>();
  readonly #chaos: Chaos;
  readonly #near: NearStore;
  #skew = 0;
  #holders = 0;
  #jobs = 0;

  constructor(seed: number, playing: Playing & { readonly theme?: Theme } = {}) {
    const world = new World(seed, playing);
    const { random, clock } = world;
    this.world = world;
    this.theme = playing.theme ?? pick(random, THEMES);
    this.server = memoryServer({ now: () => clock.now + this.#skew });
    const maxRecoveries = between(random, 1, 3);
    this.#settings = this.#choose(maxRecoveries);
    this.oracle = new Oracle({
      world,
      server: this.server,
      maxRecoveries,
      excuse: (death) => this.#excuse(death),
      audited: true,
    });
    this.#near = this.oracle.near();
    this.#queues = (random() < 0.3 ? ["a", "b"] : ["a"]).map((name) => new ObservedQueue(name, this.oracle));
    this.slots = Array.from({ length: between(random, this.theme === "crowds" ? 3 : 2, 5) });
    this.#chaos = new Chaos(this);
  }

  /** ms. */
  get grace(): number {
    return this.#settings.presenceGrace!;
  }

  get processes(): SimProcess[] {
    return this.slots.filter((one) => one !== undefined && !one.isDead) as SimProcess[];
  }

  get isStormy(): boolean {
    return this.world.clock.elapsed < STORM;
  }

  async play(): Promise<void> {
    const { random, clock } = this.world;
    for (const slot of this.slots.keys())
      clock.schedule(undefined, between(random, 0, 3_000), () => this.startProcess(slot));
    for (let i = between(random, 2, 12); i > 0; i--)
      clock.schedule(undefined, between(random, 0, STORM), () => this.#addJob());
    this.#chaos.start();
    clock.schedule(undefined, STORM, () => this.#heal());
    await this.world.run();
  }

  /** The server's clock steps. */
  step(ms: number): void {
    this.world.note("the store", "steps its clock", ms);
    this.#skew += ms;
  }

  /** The store loses all that it knew. */
  lose(): void {
    this.server.wipe();
    this.oracle.forgotten();
  }

  startProcess(slot: number): void {
    const { world, server, oracle } = this;
    const { random } = world;
    if (this.slots[slot] && !this.slots[slot].isDead) return;
    const made = new SimProcess(`p${slot + 1}`, {
      world,
      server,
      oracle,
      near: this.#near,
      queues: this.#queues,
      concurrency: between(random, 1, 4),
      pulse: this.#chaos.pulse,
      workOf: (id) => this.#works.get(id)!,
      settings: this.#settings,
      newHolder: () => `h${++this.#holders}`,
    });
    this.#chaos.born(made);
    this.slots[slot] = made;
    this.#all.push(made);
  }

  #choose(maxRecoveries: number): Omit<AssuranceOptions, "adapters" | "store" | "name"> {
    const { random } = this.world;
    return {
      heartbeatInterval: 1_000,
      heartbeatTtl: between(random, 3, 5) * 1_000,
      presenceGrace: pick(random, [200, 500, 1_000]),
      lookInterval: 250,
      recoveryInterval: pick(random, [500, 1_000]),
      delayedRecoveryInterval: pick(random, [5_000, 60_000]),
      deepPassInterval: pick(random, [10_000, 60_000]),
      stopTimeout: pick(random, [0, 500, 5_000]),
      maxRecoveries,
    };
  }

  #addJob(work: Work = this.#chaos.work()): void {
    const id = `${++this.#jobs}${work.kind === "ends" ? "" : ` ${work.kind}`}`;
    const queue = pick(this.world.random, this.#queues);
    this.#works.set(id, work);
    this.oracle.added(queue, id);
    queue.add(id);
  }

  /* Nothing goes wrong from here on but what the jobs do; whoever is gone is started again. */
  #heal(): void {
    this.world.note("the world", "heals");
    this.#chaos.end();
    for (let i = 0; i < 2 * this.slots.length; i++) this.#addJob({ kind: "ends", ms: 300 });
    this.#inspect();
  }

  #inspect(): void {
    const { world, oracle } = this;
    const { clock } = world;
    for (const slot of this.slots.keys()) this.startProcess(slot);
    this.#checkStalled();
    const ill = this.#all.filter((one) => !one.isDead && !one.isWell).map(({ name, phase }) => `${name} is ${phase}`);
    const unfinished = [...oracle.unfinished(), ...ill];
    if (unfinished.length === 0) {
      oracle.conclude();
      return clock.stop();
    }
    if (clock.elapsed > STORM + (oracle.wiped ? PARKED : BOUND))
      return world.broken(`not over: ${unfinished.join(", ")}`);
    clock.schedule(undefined, LOOK, () => this.#inspect());
  }

  /* The queue's own rule for what recovery cannot know. */
  #checkStalled(): void {
    for (const queue of this.#queues) for (const job of queue.held) if (this.#isStalled(job)) queue.stall(job);
  }

  /* Its holder never registered, because the store was down, or is forgotten; or it was fetched by a request that
   * arrived when its sender had given it up, so that nobody runs it and its lock lapses. */
  #isStalled(job: HeldJob): boolean {
    const { now } = this.world.clock;
    const process = this.#all.find(({ adapters }) => adapters.some(({ holders }) => holders.includes(job.holder)));
    if (!process || process.runs(job)) return false;
    if (!process.holdsAs(job.holder)) return !this.oracle.knows(job.holder);
    if (!this.#unrenewed.has(job.proof)) this.#unrenewed.set(job.proof, now);
    return now - this.#unrenewed.get(job.proof)! > LOCK;
  }

  /* Whoever was killed, stood still or was cut off since the fleet heard of it last may be taken for dead. */
  #excuse({ registration, cause }: Death): string | undefined {
    const process = this.#all.find(({ incarnations }) => incarnations.has(registration.incarnation));
    this.deaths++;
    if (!process || process.isDead) return "is dead";
    if (process.incarnation !== registration.incarnation) return "is a former life";
    if (process.phase === "fenced") return "was told that it is dead, and waits for a run to end";
    if (process.impaired.goesOn > 0 || process.isMuteAndUnseen) return "is impaired";
    if (process.isLeaving && process.phase === "gone") return "has left";
    const since =
      cause === "lapsed" ? this.oracle.lives.lastBeat(registration.incarnation) : this.world.clock.now - AFTERMATH;
    return process.impaired.at > since ? "was impaired" : undefined;
  }
}
