/* A worker without an assurance: it registers, fetches, runs and ends jobs, and dies of a pill.
 *
 * It may be condemned while it lives: then it goes on, as a zombie does, until a beat or a refused end tells it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { AssuranceError } from "../../src/errors.ts";
import type { HeldJob } from "../../src/testing/index.ts";
import { Actor } from "./actor.ts";
import type { Stage } from "./actor.ts";
import type { ObservedQueue } from "./observed-queue.ts";
import { between } from "./random.ts";

export interface BareWorkerOptions {
  readonly queues: readonly ObservedQueue[];
  readonly concurrency: number;
  /** What a job does to its process. */
  readonly isPill: (id: string) => boolean;
  readonly mortality: number;
}

const BEAT = 400;
const RETRY = 50;

export class BareWorker {
  readonly name: string;
  readonly actor: Actor;
  isOver = false;
  readonly #stage: Stage;
  readonly #options: BareWorkerOptions;
  #running = 0;

  constructor(name: string, stage: Stage, options: BareWorkerOptions) {
    this.name = name;
    this.#stage = stage;
    this.#options = options;
    this.actor = new Actor(name, stage, options.mortality);
    stage.world.clock.schedule(this.actor.lane, 0, () => void this.#live());
  }

  /** Dead, or fenced and knowing it. */
  get isGone(): boolean {
    return this.isOver || this.actor.lane.isDead;
  }

  async #live(): Promise<void> {
    const { queues } = this.#options;
    const { roster } = this.actor.store;
    await this.#insist(() => roster.register(this.#registration()));
    void this.#beat();
    while (!this.isOver) {
      for (const queue of queues) if (this.#running < this.#options.concurrency) await this.#fetch(queue);
      await delay(between(this.#stage.world.random, 20, 200));
    }
  }

  async #beat(): Promise<void> {
    const { roster } = this.actor.store;
    for (; !this.isOver; await delay(BEAT)) {
      const beat = { incarnation: this.name, ttl: 1, interval: 1, blockedFor: 0 };
      if ((await this.#insist(() => roster.beat(beat))) === "fenced") this.isOver = true;
    }
  }

  /* When the answer is lost, the next one asks for what it holds already. */
  async #fetch(queue: ObservedQueue): Promise<void> {
    let doubtful = false;
    const job = await this.#insist(() => {
      const doubt = doubtful;
      doubtful = true;
      return this.actor.queuePath.call("queue.fetch", () => {
        const ids = new Set(this.#jobs);
        const known = doubt ? queue.heldBy(new Set([this.name])).find(({ id }) => !ids.has(queue.key + id)) : undefined;
        return known ?? queue.fetch(this.name);
      });
    });
    if (job) void this.#run(queue, job);
  }

  readonly #jobs = new Set<string>();

  async #run(queue: ObservedQueue, job: HeldJob): Promise<void> {
    this.#running++;
    this.#jobs.add(queue.key + job.id);
    await delay(between(this.#stage.world.random, 1, 400));
    if (this.#options.isPill(job.id)) return this.actor.kill();
    if (!(await this.#insist(() => this.actor.queuePath.call("queue.end", () => queue.end(job))))) this.isOver = true;
    this.#jobs.delete(queue.key + job.id);
    this.#running--;
  }

  async #insist<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof AssuranceError)) throw error;
        await delay(RETRY);
      }
    }
  }

  #registration() {
    const holders = Object.fromEntries(this.#options.queues.map(({ key }) => [key, [this.name]]));
    const durations = { ttl: 1_000, interval: 300, grace: 100 };
    const self = { incarnation: this.name, name: this.name, host: "h", pid: 1, startedAt: 0, protocol: 1 };
    return { ...self, ...durations, pulse: "main" as const, holders };
  }
}
