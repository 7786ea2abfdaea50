/* A complete adapter for a queue that is far away: what it sends may be lost, late, or answered to nobody.
 *
 * A fetch without an answer may have been done, or be done later, so for a while it asks what it holds instead of
 * fetching; an end without an answer is sent again until there is one; and a run that was given away is left alone.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { AdapterHost, QueueAdapter, RunControl } from "../../src/adapter.ts";
import { AssuranceError } from "../../src/errors.ts";
import type { HeldJob } from "../../src/testing/index.ts";
import type { ObservedQueue } from "./observed-queue.ts";
import type { Path } from "./path.ts";
import { recoveryVerbs, runOf } from "./recovery-verbs.ts";

/** What a job does: it ends after `ms`, unless it heeds its signal, or does something to its process. */
export interface Work {
  readonly ms: number;
  readonly kind: "ends" | "fails" | "heeds" | "blocks" | "kills";
}

export interface WorkerAdapterOptions {
  readonly queue: ObservedQueue;
  readonly path: Path;
  readonly concurrency: number;
  readonly workOf: (id: string) => Work;
  readonly newHolder: () => string;
  readonly isOwn: (incarnation: string) => boolean;
  /** SIGKILL to its own process. */
  readonly kill: () => void;
  /** Its handler keeps the event loop for so long. */
  readonly block: (ms: number) => void;
}

const POLL = 150;
const RETRY = 200;
/** What was sent before the path broke arrives soon after it is whole again: within so many polls, and ms. */
const DOUBTS = 20;
const STRAGGLERS = 2_500;

export class WorkerAdapter {
  /** Runs by the holder under which they began. */
  readonly running = new Map<string, Set<string>>();
  /** Every id under which it has held jobs. */
  readonly holders: string[] = [];
  readonly #options: WorkerAdapterOptions;
  #holder: string;
  #host: AdapterHost | undefined;
  #timer: NodeJS.Timeout | undefined;
  #paused = false;
  #doubts = 0;
  #fetching: Promise<void> | undefined;
  #count = 0;

  constructor(options: WorkerAdapterOptions) {
    this.#options = options;
    this.#holder = this.#newHolder();
  }

  /** A run goes on that began under another holder id than the newest. */
  get isBusyAsBefore(): boolean {
    return [...this.running].some(([holder, jobs]) => holder !== this.#holder && jobs.size > 0);
  }

  /** The id under which it fetches now. */
  get holder(): string {
    return this.#holder;
  }

  get isFetching(): boolean {
    return !this.#paused && this.#timer !== undefined;
  }

  /** As core sees it. */
  get contract(): QueueAdapter {
    const { queue, path, isOwn } = this.#options;
    return {
      ...recoveryVerbs(path, queue, isOwn),
      name: "sim",
      queues: [queue.key],
      holders: () => [this.#holder],
      attach: (host) => this.#attach(host),
      detach: () => this.#detach(),
      pause: () => this.#pause(),
      resume: ({ renew }) => this.#resume(renew),
    };
  }

  async #attach(host: AdapterHost): Promise<void> {
    this.#host = host;
    await host.changed();
    this.#timer ??= setInterval(() => this.#poll(), POLL);
  }

  async #detach(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #pause(): Promise<void> {
    this.#paused = true;
    await this.#fetching;
    while (this.#doubts > 0) {
      await delay(STRAGGLERS);
      this.#doubts = 1;
      await this.#fetch();
    }
  }

  async #resume(renew: boolean): Promise<void> {
    if (renew) {
      this.#holder = this.#newHolder();
      await this.#host?.changed();
    }
    this.#paused = false;
  }

  #newHolder(): string {
    const holder = this.#options.newHolder();
    this.holders.push(holder);
    return holder;
  }

  #poll(): void {
    if (this.#paused || this.#fetching || this.#count >= this.#options.concurrency) return;
    this.#fetching = this.#fetch().finally(() => (this.#fetching = undefined));
  }

  async #fetch(): Promise<void> {
    const { path, queue } = this.#options;
    const holder = this.#holder;
    try {
      const job = this.#doubts
        ? await path.call("queue.mine", () => this.#strays(holder))
        : await path.call("queue.fetch", () => queue.fetch(holder));
      if (job) void this.#run(holder, job);
      else if (this.#doubts > 0) this.#doubts--;
    } catch {
      this.#doubts = DOUBTS;
      await delay(RETRY);
    }
  }

  #strays(holder: string): HeldJob | undefined {
    const known = this.running.get(holder);
    return this.#options.queue.heldBy(new Set([holder])).find(({ id }) => !known?.has(id));
  }

  async #run(holder: string, job: HeldJob): Promise<void> {
    const known = this.running.get(holder) ?? new Set<string>();
    this.running.set(holder, known.add(job.id));
    this.#count++;
    const run = runOf(this.#options.queue, job);
    try {
      await this.#host!.run(run, (control) => this.#execute(job, control));
    } catch {
      // How it ended stands in the queue.
    } finally {
      known.delete(job.id);
      this.#count--;
    }
  }

  async #execute(job: HeldJob, control: RunControl): Promise<void> {
    const { queue, path, workOf } = this.#options;
    const work = workOf(job.id);
    await this.#work(work, control);
    if (work.kind === "heeds" && control.givenUp) {
      if (isHandover(control.givenUp))
        await insist(() => path.call("queue.handOver", () => queue.handOver(runOf(queue, job))));
      throw control.givenUp;
    }
    const failure = work.kind === "fails" ? new Error("as it should") : undefined;
    if (!(await insist(() => path.call("queue.end", () => queue.end(job, failure)))))
      this.#host?.lost(runOf(queue, job), "its job was given away");
    if (failure) throw failure;
  }

  async #work({ kind, ms }: Work, control: RunControl): Promise<void> {
    if (kind === "blocks") this.#options.block(ms);
    const told = new Promise<void>((resolve) => {
      if (kind === "heeds") control.onGivenUp(() => resolve());
    });
    await Promise.race([delay(ms), told]);
    if (kind === "kills") this.#options.kill();
  }
}

async function insist<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch {
      await delay(RETRY);
    }
  }
}

const isHandover = (reason: Error): boolean => reason instanceof AssuranceError && reason.code === "ERR_HANDOVER";
