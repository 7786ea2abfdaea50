/* The queue's server: a memory queue, and an oracle that sees each move in the moment in which it happens. */
import { memoryQueue } from "../../src/testing/index.ts";
import type { HeldJob, MemoryJob, MemoryQueue } from "../../src/testing/index.ts";
import type { RequeueOutcome, Run } from "../../src/adapter.ts";
import type { Orphan } from "../../src/store.ts";
import type { Oracle } from "./oracle.ts";

type Proof = Pick<HeldJob, "id" | "proof">;

export class ObservedQueue {
  readonly key: string;
  readonly #queue: MemoryQueue;
  readonly #oracle: Oracle;

  constructor(name: string, oracle: Oracle) {
    this.#queue = memoryQueue(name);
    this.#oracle = oracle;
    this.key = this.#queue.key;
    oracle.watch(this);
  }

  add(id: string): void {
    this.#queue.add("", { id });
  }

  get(id: string): MemoryJob | undefined {
    return this.#queue.get(id);
  }

  heldBy(holders: ReadonlySet<string>): HeldJob[] {
    return this.#queue.held.filter(({ holder }) => holders.has(holder));
  }

  get held(): HeldJob[] {
    return this.#queue.held;
  }

  fetch(holder: string): HeldJob | undefined {
    const job = this.#queue.fetch(holder);
    if (job) this.#oracle.note("fetched", `job ${job.id}, run ${job.run}, by ${holder}`);
    return job;
  }

  /** Also true when it was accepted before and the reply was lost. */
  end(run: Proof, failure?: unknown): boolean {
    const accepted = this.#queue.end(run, failure);
    if (accepted) this.#oracle.ended(this.key, this.get(run.id)!);
    const { state, proof } = this.get(run.id) ?? {};
    return (state === "finished" || state === "failed") && proof === run.proof;
  }

  /** By a recoverer. */
  requeue(orphan: Orphan, delay: number): RequeueOutcome {
    const outcome = this.#queue.requeue(orphan, delay);
    if (outcome === "requeued") this.#oracle.givenAway(orphan, "requeued");
    return outcome;
  }

  /** By its own process, as it leaves. */
  handOver(run: Run): RequeueOutcome {
    const outcome = this.#queue.requeue(run, 0);
    if (outcome === "requeued") this.#oracle.handedOver(run);
    return outcome;
  }

  /** The queue's own check for stalled jobs gives this one back, whoever recovers it beside. */
  stall({ id, run, proof, holder }: HeldJob): void {
    const stalled = { queue: this.key, id, run, proof };
    if (this.#queue.requeue(stalled, 0) === "requeued") this.#oracle.stalled(stalled, holder);
  }

  bury(orphan: Orphan, reason: string): "buried" | Exclude<RequeueOutcome, "requeued"> {
    const outcome = this.#queue.bury(orphan, reason);
    if (outcome === "buried") this.#oracle.givenAway(orphan, "buried");
    return outcome;
  }

  promote(id: string): void {
    this.#queue.promote(id);
  }
}
