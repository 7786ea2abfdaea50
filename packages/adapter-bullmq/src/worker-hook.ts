/* Hooks into one of the user's workers, and gives it back as it was.
 *
 * Everything goes through `processJob` on the instance: BullMQ calls it for every job, function or sandbox, and it
 * returns when the queue has accepted or refused the end. The lock's token names the worker's id, so an id that
 * belonged to a dead incarnation is never used again, and what is fetched under one goes back unseen. While we pause,
 * `moveToActive` on the instance fetches nothing: BullMQ would, for a worker that slept when the pause began.
 */
import { randomUUID } from "node:crypto";
import type { AdapterHost, Run, RunControl } from "@assured-jobs/core";
import { Fetches } from "./fetches.ts";
import { guardFinish } from "./finish.ts";
import type { Referee } from "./finish.ts";
import { toWait } from "./moves.ts";
import type { MoveToActive, NativeJob, NativeWorker, ProcessJob } from "./native.ts";
import { override, reasonOf } from "@assured-jobs/core/adapter-kit";
import { wakeAnother } from "./requeue.ts";
import type { Runs } from "./runs.ts";
import { isGuarded, unguarded } from "./sandbox.ts";
import type { ServedQueue } from "./served-queue.ts";
import { reportStarted } from "./started.ts";
import { renewInTime } from "./renewal.ts";
import { holderOf } from "./tokens.ts";
import type { IsTracked } from "@assured-jobs/core/adapter-kit";
import type { StallRules } from "./upkeep.ts";

const DEFAULTS = { lockDuration: 30_000, stalledInterval: 30_000, maxStalledCount: 1 } as const;

/** Stalls are no deaths while we are here: BullMQ must not fail a job for them. */
const NEVER = 2 ** 31 - 1;

export interface HookParts {
  readonly queue: ServedQueue;
  readonly runs: Runs;
  readonly isTracked: IsTracked;
  /** The worker is closed or was removed, and its last run has ended. */
  readonly gone: (hook: WorkerHook) => void;
}

type Proceed = () => Promise<unknown>;

export class WorkerHook {
  readonly worker: NativeWorker;
  readonly queue: ServedQueue;
  /** The user's own settings, from before the hook. */
  readonly rules: StallRules;
  readonly #parts: HookParts;
  readonly #formerIds = new Set<string>();
  readonly #fetches: Fetches;
  readonly #referee: Referee = {
    relock: (run) => this.queue.relock(run, this.rules.lockDuration),
    giveBack: ({ id, proof }) => this.#giveBack(id, proof),
    refused: (run, error) => this.#host?.lost(run, reasonOf(error)),
  };
  #host: AdapterHost | undefined;
  #unpatch: (() => void) | undefined;
  #unwatch: (() => void) | undefined;
  #inFlight = 0;
  #pausing = false;
  #pausedByUs = false;
  #retired = false;

  constructor(worker: NativeWorker, parts: HookParts) {
    this.worker = worker;
    this.queue = parts.queue;
    this.#parts = parts;
    this.#fetches = new Fetches(worker.name);
    const { lockDuration, stalledInterval, maxStalledCount } = { ...DEFAULTS, ...worker.opts };
    this.rules = { lockDuration, stalledInterval, maxStalledCount };
  }

  /** Reports every run from now on, and those already going on. */
  async attach(host: AdapterHost): Promise<void> {
    if (this.#host !== undefined) return;
    this.#host = host;
    this.#unpatch ??= this.#patch();
    this.#unwatch = renewInTime(this.worker.lockManager, this.rules.lockDuration);
    this.worker.opts.maxStalledCount = NEVER;
    this.worker.on("lockRenewalFailed", this.#renewalFailed);
    this.worker.on("closed", this.#endWhenIdle);
    if (!isGuarded(this.worker)) host.warn(unguarded(this.queue.key));
    await reportStarted(this, this.#parts.runs, { host, isTracked: this.#parts.isTracked });
  }

  /** A worker that we paused stays paused, and what its last fetch still brings goes back. */
  detach(): void {
    if (this.#host === undefined) return;
    this.#host = undefined;
    this.worker.opts.maxStalledCount = this.rules.maxStalledCount;
    this.#unwatch?.();
    this.worker.off("lockRenewalFailed", this.#renewalFailed);
    this.worker.off("closed", this.#endWhenIdle);
    if (!this.#pausedByUs) this.#restore();
  }

  /** Takes no further run; its id stays ours until the last of its runs has ended. */
  retire(): void {
    this.#retired = true;
    this.detach();
    this.#endWhenIdle();
  }

  get isAttached(): boolean {
    return this.#host !== undefined;
  }

  /** Closed: it will not fetch again, though its last runs may go on. */
  get isClosed(): boolean {
    return this.worker.closed === true;
  }

  /** Resolves when nothing is on its way any more: what an end fetched on top, or a fetch, is back. */
  async pause(): Promise<void> {
    this.#pausing = true;
    await this.#stopFetching();
    await this.#fetches.settled();
  }

  /** A new id for what is fetched from now on; what was fetched under the old one goes back unseen. */
  renewId(): void {
    this.#formerIds.add(this.worker.id);
    this.worker.id = randomUUID(); // BullMQ builds each token from it at the time of the fetch
  }

  async resume(): Promise<void> {
    this.#pausing = false;
    if (!this.#pausedByUs) return;
    this.#pausedByUs = false;
    await this.worker.resume();
    if (this.worker.isPaused()) await this.#resumeRunning();
  }

  /** Aborts the handler of a run, unless it has ended: BullMQ goes by the job, which may run anew. */
  cancel(run: Run, reason: unknown): void {
    if (this.#parts.runs.of(run.id) !== run) return;
    const plain = this.worker.childPool !== undefined; // to a sandbox it is sent as a message
    this.worker.cancelJob(run.id, plain ? reasonOf(reason) : reason);
  }

  /** For a run whose end is BullMQ's own: its job goes back first, or a handler that heeds the signal would fail it. */
  async giveUpStarted(run: Run, reason: unknown): Promise<void> {
    await this.#giveBack(run.id, run.proof);
    this.cancel(run, reason);
  }

  /* A worker that is paused or not running for the user's own reasons is left alone, now and at resume. */
  async #stopFetching(): Promise<void> {
    if (this.worker.isPaused() || !this.worker.isRunning() || this.worker.closing !== undefined) return;
    this.#pausedByUs = true;
    await this.worker.pause(true);
  }

  /* BullMQ 5.64 ignores resume() while the last runs before the pause go on. */
  async #resumeRunning(): Promise<void> {
    this.worker.paused = false;
    await this.worker.startStalledCheckTimer();
  }

  #patch(): () => void {
    const { worker } = this;
    const undo = [
      override(worker, "processJob", (original): ProcessJob => {
        return (job, token, ...rest) => this.#process(job, token, () => original.call(worker, job, token, ...rest));
      }),
      override(worker, "moveToActive", (original): MoveToActive => {
        return (...args) => this.#fetches.track(this.#mayFetch ? original.apply(worker, args) : this.#fetchNothing());
      }),
    ];
    return () => undo.forEach((one) => one());
  }

  get #mayFetch(): boolean {
    return !(this.#pausing && (this.isAttached || this.worker.isPaused()));
  }

  /* It was woken, though, and another worker must be in its place. Paused for good, or it would ask again at once. */
  async #fetchNothing(): Promise<undefined> {
    await this.#stopFetching();
    await wakeAnother(this.queue).catch(() => {}); // then the others wake by themselves, within their drainDelay
  }

  #restore(): void {
    this.#unpatch?.();
    this.#unpatch = undefined;
  }

  /* Waits for nothing on the usual way, and puts no promise around BullMQ's own: what this costs, every job pays. */
  #process(job: NativeJob, token: string, proceed: Proceed): Promise<unknown> {
    this.#inFlight++;
    const run = this.#runOf(job, token);
    const work = this.#admit(job, token, { run, proceed });
    const end = (): void => this.#end(run);
    work.then(end, end);
    return work;
  }

  #end(run: Run | undefined): void {
    if (run !== undefined) this.#parts.runs.close(run);
    this.#inFlight--;
    this.#endWhenIdle();
  }

  /* Undefined when it is not ours to track. */
  #runOf(job: NativeJob, token: string): Run | undefined {
    if (this.#host === undefined || job.id === undefined || !this.#parts.isTracked(job.name)) return undefined;
    return { queue: this.queue.key, id: job.id, run: job.attemptsStarted, name: job.name, proof: token };
  }

  #admit(
    job: NativeJob,
    token: string,
    { run, proceed }: { run: Run | undefined; proceed: Proceed },
  ): Promise<unknown> {
    if (this.#isUnwelcome(token)) return this.#fetches.track(this.#sendBack(job, token));
    if (run === undefined) return proceed();
    return this.#parts.runs.of(run.id) === undefined
      ? this.#start(job, run, proceed)
      : this.#startInTurn(job, run, proceed);
  }

  #start(job: NativeJob, run: Run, proceed: Proceed): Promise<unknown> {
    if (this.#host === undefined) return proceed(); // detached while it waited for its turn
    const work = this.#host.run(run, (control) => this.#execute(job, { run, control, proceed }));
    this.#parts.runs.open(run, work);
    return work;
  }

  async #startInTurn(job: NativeJob, run: Run, proceed: Proceed): Promise<unknown> {
    if (!(await this.#parts.runs.turn(run, this.rules.lockDuration))) return undefined; // given away meanwhile
    return this.#isUnwelcome(run.proof) ? this.#sendBack(job, run.proof) : this.#start(job, run, proceed);
  }

  #execute(
    job: NativeJob,
    { run, control, proceed }: { run: Run; control: RunControl; proceed: Proceed },
  ): Promise<unknown> {
    if (control.givenUp) return this.#sendBack(job, run.proof);
    guardFinish(job, { run, control, referee: this.#referee });
    control.onGivenUp((reason) => this.cancel(run, reason));
    return proceed();
  }

  /* A fetch that was already on its way when the pause, or a new incarnation, began. */
  #isUnwelcome(token: string): boolean {
    if (this.#formerIds.size > 0 && this.#formerIds.has(holderOf(token))) return true;
    return !this.#mayFetch;
  }

  async #sendBack(job: NativeJob, token: string): Promise<undefined> {
    if (this.#pausing) await this.#stopFetching(); // else the user's resume() would make it fetch the same again
    if (job.id !== undefined) await this.#giveBack(job.id, token);
  }

  /* Refused or failed: then somebody else has it, or its lock lapses and recovery gives it back. */
  async #giveBack(id: string, token: string): Promise<void> {
    try {
      await toWait(this.queue.member, id, token);
    } catch {}
  }

  readonly #renewalFailed = (ids: readonly string[]): void => {
    for (const id of ids) {
      const run = this.#parts.runs.of(id);
      if (run !== undefined) void this.#renew(run);
    }
  };

  /* An error is no proof of anything; BullMQ's next renewal brings us here again. */
  async #renew(run: Run): Promise<void> {
    const kept = await this.queue.relock(run, this.rules.lockDuration).catch(() => true);
    if (!kept) this.#host?.lost(run, "its lock is gone and the job was moved, or another worker runs it");
  }

  readonly #endWhenIdle = (): void => {
    if (this.#inFlight === 0 && (this.isClosed || this.#retired)) this.#parts.gone(this);
  };
}
