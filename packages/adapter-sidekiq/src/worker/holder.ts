/* Under which names this worker holds jobs.
 *
 * A fetch whose answer was lost may have been carried out, or be so later. Its holder is put into its grave, after which
 * the fetch script gives it nothing, and what it holds and nobody here knows goes back. Runs of an older name go on.
 */
import type { Connection } from "../connection.ts";
import type { Keys } from "../keys.ts";
import { holderOf, parseProof } from "../proof.ts";
import { proofsOf } from "../running.ts";
import { giveBack } from "../requeue.ts";

export interface HolderParts {
  readonly redis: Connection;
  readonly keys: Keys;
  readonly identity: string;
  readonly queues: readonly string[];
  /** Proofs of the runs that go on here. */
  readonly known: () => ReadonlySet<string>;
  /** Resolves once the store knows the names. */
  readonly changed: () => Promise<void>;
}

export class HolderBook {
  readonly #parts: HolderParts;
  #life = 1;
  #current: string;
  /** The one that goes on, or the last one. */
  #retraction: Promise<void> | undefined;

  constructor(parts: HolderParts) {
    this.#parts = parts;
    this.#current = holderOf(parts.identity, this.#life);
  }

  /** The name for what is fetched from now on. */
  get current(): string {
    return this.#current;
  }

  /** That one, and those of runs that go on. */
  get all(): readonly string[] {
    const ofRuns = [...this.#parts.known()].map((proof) => parseProof(proof)!.holder);
    return [...new Set([this.#current, ...ofRuns])];
  }

  /** Takes a new name. Resolves once the store knows it. */
  async renew(): Promise<void> {
    this.#current = holderOf(this.#parts.identity, ++this.#life);
    await this.#parts.changed();
  }

  /** Takes a new name, and gives back what the old one holds without our knowledge. Rejects when Redis cannot be reached. */
  async retract(): Promise<void> {
    const retraction = this.#retract();
    this.#retraction = retraction.catch(() => {});
    await retraction;
  }

  /** Whether a name is an old one by now, or will be when a retraction that goes on has ended. */
  async hasLeft(name: string): Promise<boolean> {
    await this.#retraction;
    return this.#current !== name;
  }

  async #retract(): Promise<void> {
    const { redis, keys, queues, known } = this.#parts;
    const old = this.#current;
    await redis.call("ZADD", keys.graves, await redis.now(), old);
    for (const queue of queues) {
      const proofs = await proofsOf(redis, keys.queue(queue).running, new Set([old]));
      for (const proof of proofs) if (!known().has(proof)) await giveBack({ redis, keys }, queue, proof);
    }
    await this.renew();
  }
}
