/* A tiny queue in memory: the other half of memoryAdapter(), which makes it assured.
 *
 * It is fenced like a real one. Each fetch gives the job a larger run number and a proof of it (run and holder); to
 * end, requeue or bury a run means to compare its proof and to move the job in one step, so of all who try, one wins.
 */
import { randomUUID } from "node:crypto";
import type { JobState, RequeueOutcome } from "../adapter.ts";
import { AssuranceError, reasonOf } from "../errors.ts";

/** A job as the queue keeps it. A delayed one is waiting with a later `dueAt`; a buried one has failed for good. */
export interface MemoryJob {
  readonly id: string;
  readonly name: string;
  readonly data: unknown;
  readonly state: Exclude<JobState, "missing"> | "buried";
  /** Number of its last run; 0 before the first. */
  readonly run: number;
  /** Of the last run, and who held it. */
  readonly proof?: string;
  readonly holder?: string;
  readonly dueAt: number;
  /** Why it failed or was buried. */
  readonly reason?: string;
}

/** A job that runs. */
export interface HeldJob extends MemoryJob {
  readonly proof: string;
  readonly holder: string;
}

/** Options of add(). */
export interface MemoryJobOptions {
  /** An id that the queue knows already adds nothing. */
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  /** ms until it is due. */
  readonly delay?: number | undefined;
}

/** What tells one run of a job from another. */
type Proof = Pick<HeldJob, "id" | "proof">;

/** An empty queue with the key `memory:<name>`, for any number of simulated processes. */
export function memoryQueue(name = "jobs"): MemoryQueue {
  return new MemoryQueue(name);
}

/** The queue of memoryQueue(). */
export class MemoryQueue {
  readonly key: string;
  readonly #jobs = new Map<string, MemoryJob>();
  /** Ids of the waiting, front first. */
  #line: string[] = [];

  constructor(name: string) {
    this.key = `memory:${name}`;
  }

  /** At the end of the line. Returns the id. */
  add(data: unknown, { id = randomUUID(), name = "job", delay = 0 }: MemoryJobOptions = {}): string {
    if (this.#jobs.has(id)) return id;
    this.#jobs.set(id, { id, name, data, state: "waiting", run: 0, dueAt: Date.now() + delay });
    this.#line.push(id);
    return id;
  }

  get(id: string): MemoryJob | undefined {
    return this.#jobs.get(id);
  }

  /** Oldest fetch first. */
  get held(): HeldJob[] {
    return [...this.#jobs.values()].filter(isHeld);
  }

  /** The next job that is due; `holder` holds it from now on. */
  fetch(holder: string): HeldJob | undefined {
    const next = this.#line.map((id) => this.#jobs.get(id)).find((job) => job && job.dueAt <= Date.now());
    if (!next) return undefined;
    const run = next.run + 1;
    return this.#move({ ...next, state: "held" as const, run, holder, proof: `${run}:${holder}` });
  }

  /** A run finished, or failed. False when it was given away: then nothing happened. */
  end(run: Proof, failure?: unknown): boolean {
    const job = this.#heldAs(run);
    if (!job) return false;
    this.#move(
      failure === undefined ? { ...job, state: "finished" } : { ...job, state: "failed", reason: reasonOf(failure) },
    );
    return true;
  }

  /** Back to the front of the line, due after `delay` ms. */
  requeue(run: Proof, delay: number): RequeueOutcome {
    const job = this.#heldAs(run);
    if (!job) return this.#fate(run.id);
    this.#move({ ...job, state: "waiting", dueAt: Date.now() + delay });
    return "requeued";
  }

  /** Puts a run's job aside for a person. */
  bury(run: Proof, reason: string): "buried" | Exclude<RequeueOutcome, "requeued"> {
    const job = this.#heldAs(run);
    if (!job) return this.#fate(run.id);
    this.#move({ ...job, state: "buried", reason });
    return "buried";
  }

  /** A delayed job is due now. */
  promote(id: string): void {
    const job = this.#jobs.get(id);
    if (job?.state === "waiting") this.#jobs.set(id, { ...job, dueAt: 0 });
  }

  /** To the front of the line, from one of the `expected` states; otherwise it throws ERR_ACTION_REFUSED. */
  putBack(id: string, expected: readonly MemoryJob["state"][]): void {
    this.#move({ ...this.#expect(id, expected), state: "waiting", dueAt: 0 });
  }

  /** Removes a job in one of the `expected` states; otherwise it throws ERR_ACTION_REFUSED. */
  discard(id: string, expected: readonly MemoryJob["state"][]): void {
    this.#remove(this.#expect(id, expected).id);
  }

  #heldAs({ id, proof }: Proof): MemoryJob | undefined {
    const job = this.#jobs.get(id);
    return job?.state === "held" && job.proof === proof ? job : undefined;
  }

  /* What has become of a run that is not held as it was. */
  #fate(id: string): "already" | "finished" | "vanished" {
    const state = this.#jobs.get(id)?.state;
    if (state === undefined) return "vanished";
    return state === "finished" || state === "failed" ? "finished" : "already";
  }

  #expect(id: string, expected: readonly MemoryJob["state"][]): MemoryJob {
    const job = this.#jobs.get(id);
    if (job && expected.includes(job.state)) return job;
    const found = job?.state ?? "missing";
    throw new AssuranceError("ERR_ACTION_REFUSED", `job ${id}: expected it ${expected.join(" or ")}, it is ${found}`);
  }

  #move<Job extends MemoryJob>(job: Job): Job {
    this.#remove(job.id);
    this.#jobs.set(job.id, job);
    if (job.state === "waiting") this.#line.unshift(job.id);
    return job;
  }

  #remove(id: string): void {
    this.#jobs.delete(id);
    this.#line = this.#line.filter((other) => other !== id);
  }
}

function isHeld(job: MemoryJob): job is HeldJob {
  return job.state === "held";
}
