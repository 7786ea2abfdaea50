/* Hooks into one of the user's queues, and gives it back as it was.
 *
 * Bee calls four methods of its own through the instance: the fetch (fetcher.ts), the run, the stall mark (the fetch has
 * made it already) and the end (finish.ts). A run goes on for us from its fetch until the queue has accepted or refused
 * its end. The holder's id is ours: a new one for each life of the process. Slots that were waiting in Bee's own way when
 * it was attached come over with their next job, or when their connection breaks; then Bee would let the n-th of them
 * wait for 2^n s, which is set to nothing.
 */
import { randomUUID } from "node:crypto";
import type { AdapterHost, Run, RunControl } from "@assured-jobs/core";
import { override } from "@assured-jobs/core/adapter-kit";
import { Fetcher } from "./fetcher.ts";
import type { Fetched } from "./fetcher.ts";
import { finishRun } from "./finish.ts";
import type { Ending } from "./finish.ts";
import type { NativeJob, NativeQueue, Outcome } from "./native.ts";
import { parseProof } from "./proof.ts";
import { giveBack } from "./requeue.ts";
import type { Runs } from "./runs.ts";
import { claim } from "./scripts/claim.ts";
import type { ServedQueue } from "./served-queue.ts";

export interface HookParts {
  readonly served: ServedQueue;
  readonly runs: Runs;
  /** The queue is closed or was removed, and its last run has ended. */
  readonly gone: (hook: QueueHook) => void;
}

type Proceed = () => Promise<Outcome>;

export class QueueHook {
  readonly queue: NativeQueue;
  readonly served: ServedQueue;
  readonly #parts: HookParts;
  readonly #fetcher: Fetcher;
  readonly #proofs = new WeakMap<NativeJob, string>();
  readonly #endings = new WeakMap<NativeJob, Ending>();
  #holder: string = randomUUID();
  #host: AdapterHost | undefined;
  #unpatch: (() => void) | undefined;
  #inFlight = 0;
  #isPaused = false;
  #retired = false;
  /** The job whose stall mark was made by its fetch, while Bee starts it. */
  #starting: string | undefined;

  constructor(queue: NativeQueue, parts: HookParts) {
    this.queue = queue;
    this.served = parts.served;
    this.#parts = parts;
    this.#fetcher = new Fetcher(queue, {
      served: parts.served,
      holder: () => this.#holder,
      fetched: ({ job, proof }: Fetched) => void this.#proofs.set(job, proof),
      warn: (message) => this.#host?.warn(message),
    });
  }

  get holder(): string {
    return this.#holder;
  }

  /** Closed: it will not fetch again, though its last runs may go on. */
  get isClosed(): boolean {
    return this.queue._isClosed;
  }

  attach(host: AdapterHost): void {
    this.#host = host;
    this.#isPaused = false; // an assurance that stopped left it so
    this.#unpatch ??= this.#patch();
    this.#fetcher.open();
  }

  /** A queue that we paused stays paused; otherwise Bee itself fetches on. */
  detach(): void {
    if (this.#host === undefined) return;
    this.#host = undefined;
    if (this.#isPaused) return;
    void this.#fetcher.close().catch(() => {}); // what is on its way goes back, or is found with its holder
    for (const slot of this.#fetcher.dismiss()) void this.queue._waitForJob().then(slot, () => slot(null));
    this.#restoreWhenIdle();
  }

  /** Takes no further run; its holder stays ours until the last of its runs has ended. */
  async retire(): Promise<void> {
    this.detach();
    await this.#fetcher.close().catch(() => {}); // what it brings goes back, which takes the queue
    this.#retired = true;
    this.#endWhenIdle();
  }

  /** Resolves when nothing is on its way any more: what a fetch still brought is back. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#fetcher.close();
  }

  /** A new holder for what is fetched from now on. */
  renew(): void {
    this.#holder = randomUUID();
  }

  resume(): void {
    this.#isPaused = false;
    this.#fetcher.open();
  }

  get #isOurs(): boolean {
    return this.#host !== undefined || this.#isPaused;
  }

  #patch(): () => void {
    const { queue } = this;
    const undo = [
      override(queue, "_waitForJob", (original) => () => (this.#isOurs ? this.#fetcher.next() : original.call(queue))),
      override(queue, "_runJob", (original) => (job) => this.#run(job, () => original.call(queue, job))),
      override(queue, "_preventStall", (original) => (id) => this.#isMarked(id) || original.call(queue, id)),
      override(queue, "_finishJob", (original) => (error, data, job) => {
        const ending = this.#endings.get(job);
        return ending && !queue._isClosed
          ? finishRun(ending, error, data, job)
          : original.call(queue, error, data, job);
      }),
      override(
        queue,
        "close",
        (original) =>
          (...args) =>
            this.#noteClosed(original.apply(queue, args)),
      ),
      override(queue.settings, "initialRedisFailureRetryDelay", () => 0),
    ];
    return () => undo.forEach((one) => one());
  }

  #isMarked(id: string): Promise<void> | undefined {
    if (this.#starting !== id) return undefined;
    this.#starting = undefined;
    return Promise.resolve();
  }

  async #run(job: NativeJob, proceed: Proceed): Promise<Outcome> {
    this.#inFlight++;
    try {
      const proof = this.#proofs.get(job) ?? (await this.#claim(job.id));
      if (proof === undefined) return undefined; // a run holds it, or it was given back
      return await this.#admit(job, runOf(this.served.key, job.id, proof), proceed);
    } finally {
      this.#inFlight--;
      this.#endWhenIdle();
    }
  }

  /* Fetched by Bee itself, before it was attached. */
  async #claim(id: string): Promise<string | undefined> {
    const { active, owner, run } = this.served.keys;
    const proof = await this.#fetcher.claim((number, holder) =>
      this.served.run(claim, [active, owner, run, id, holder, number]),
    );
    return typeof proof === "string" ? proof : undefined;
  }

  async #admit(job: NativeJob, run: Run, proceed: Proceed): Promise<Outcome> {
    if (this.#parts.runs.of(run.id) !== undefined) await this.#parts.runs.turn(run.id);
    const host = this.#host;
    if (host === undefined || this.#isPaused) return this.#giveBack(run);
    const work = host.run(run, (control) => this.#execute(job, { run, control, proceed }));
    this.#parts.runs.open(run, work);
    try {
      return await work;
    } finally {
      this.#parts.runs.close(run);
    }
  }

  #execute(
    job: NativeJob,
    { run, control, proceed }: { run: Run; control: RunControl; proceed: Proceed },
  ): Promise<Outcome> {
    if (control.givenUp) return this.#giveBack(run);
    this.#endings.set(job, { queue: this.queue, served: this.served, run, control, refused: this.#refused });
    this.#starting = this.#proofs.has(job) ? job.id : undefined;
    return proceed();
  }

  async #giveBack({ id, proof }: Run): Promise<undefined> {
    await giveBack(this.served, id, proof);
  }

  readonly #refused = (run: Run): void => {
    this.#host?.lost(run, "its job was given back meanwhile, or was ended by another run");
  };

  #noteClosed(closing: Promise<void>): Promise<void> {
    closing.then(this.#endWhenIdle, this.#endWhenIdle);
    return closing;
  }

  #restoreWhenIdle(): void {
    if (this.#inFlight > 0 || this.#isOurs) return;
    this.#unpatch?.();
    this.#unpatch = undefined;
  }

  readonly #endWhenIdle = (): void => {
    if (this.#inFlight > 0) return;
    if (this.#host === undefined) this.#restoreWhenIdle();
    if (this.isClosed || this.#retired) this.#parts.gone(this);
  };
}

function runOf(queue: string, id: string, proof: string): Run {
  return { queue, id, run: parseProof(proof)?.run ?? 0, proof };
}
