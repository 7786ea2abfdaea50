/* Orphans of the dead in the record of runs, and what is remembered of them for a moment: their payloads, so that giving
 * ten thousand back does not read and parse each of them twice. */
import type { DeadHolder, Incarnation, Orphan } from "@assured-jobs/core";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { queueKey } from "./keys.ts";
import { recordedRuns } from "./running.ts";
import type { Recorded } from "./running.ts";
import { readText } from "./wire/payload.ts";
import type { Payload, Read } from "./wire/payload.ts";
import { classOf } from "./worker/job.ts";

/** Characters of payloads that are remembered at most, per adapter. */
const MOST = 20_000_000;

export class Orphans {
  readonly #redis: Connection;
  readonly #keys: Keys;
  readonly #read = new Map<string, Read>();
  #size = 0;

  constructor(redis: Connection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Newest first: each is put in front of the one before, so the oldest ends up as the next to run. */
  async of(queue: string, dead: readonly DeadHolder[]): Promise<readonly Orphan[]> {
    const graves = new Map<string, Incarnation>();
    for (const { incarnation, ids } of dead) for (const id of ids) graves.set(id, incarnation);
    if (graves.size === 0) return [];
    await this.#certify([...graves.keys()]);
    const runs = await recordedRuns(this.#redis, this.#keys.queue(queue).running, (holder) => graves.has(holder));
    return runs
      .toSorted((one, other) => other.run - one.run)
      .map((run) => this.#orphan(queue, run, graves.get(run.holder)!));
  }

  /** The payload as it stands in the record; undefined when the run is not there any more. */
  async read(queue: string, proof: string): Promise<Read | undefined> {
    const known = this.#read.get(proof);
    if (known !== undefined) return known;
    const text = await this.#redis.call("HGET", this.#keys.queue(queue).running, proof);
    return typeof text === "string" ? readText(text) : undefined;
  }

  forget(proof: string): void {
    this.#size -= this.#read.get(proof)?.text.length ?? 0;
    this.#read.delete(proof);
  }

  #remember(proof: string, read: Read): void {
    this.forget(proof);
    if (this.#size + read.text.length > MOST) return;
    this.#size += read.text.length;
    this.#read.set(proof, read);
  }

  #orphan(queue: string, { proof, run, text }: Recorded, holder: Incarnation): Orphan {
    const read = readText(text);
    const { payload } = read;
    this.#remember(proof, read);
    const name = payload && classOf(payload);
    const id = idOf(payload, run);
    return {
      queue: queueKey(this.#keys.prefix, queue),
      id,
      run,
      proof,
      holder,
      ...(name === undefined ? {} : { name }),
    };
  }

  /* From then on the fetch script gives them nothing, however late they come. In each pass: Redis may have lost its data. */
  async #certify(holders: readonly string[]): Promise<void> {
    const now = await this.#redis.now();
    await this.#redis.call("ZADD", this.#keys.graves, "NX", ...holders.flatMap((holder) => [now, holder]));
  }
}

/** How core knows a job: its jid, or the number of its run when nobody can read it. */
export const idOf = (payload: Payload | undefined, run: number): string => payload?.string("jid") ?? `run-${run}`;
