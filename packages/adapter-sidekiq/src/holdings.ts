/* What is in flight, whoever holds it: runs of our workers, and jobs of the Ruby workers that are watched. Each kind is
 * found in its own books and moved by a script that compares there; the rest is the same for all. */
import type { DeadHolder, Guest, Orphan, RequeueOutcome } from "@assured-jobs/core";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { idOf, Orphans } from "./orphans.ts";
import { Moves } from "./moves.ts";
import { bury, condemned, refreshed } from "./requeue.ts";
import type { Move, RecoverTo } from "./requeue.ts";
import { BareSource } from "./ruby/bare.ts";
import { GemSource } from "./ruby/gem.ts";
import { buryFrom, requeueFrom } from "./ruby/source.ts";
import type { RubyOptions, RubySource } from "./ruby/source.ts";
import { readText } from "./wire/payload.ts";
import type { Read } from "./wire/payload.ts";
import type { TimestampUnit } from "./wire/timestamps.ts";

const GEM_NAMESPACE = "sidekiq_assured_jobs";

export interface HoldingsParts {
  readonly redis: Connection;
  readonly keys: Keys;
  readonly recoverTo: RecoverTo;
  readonly unit: TimestampUnit;
  readonly ruby: RubyOptions;
}

type Burial = "buried" | Exclude<RequeueOutcome, "requeued">;

export class Holdings {
  readonly #parts: HoldingsParts;
  readonly #orphans: Orphans;
  readonly #moves: Moves;
  readonly #sources: readonly RubySource[];

  constructor(parts: HoldingsParts) {
    this.#parts = parts;
    this.#orphans = new Orphans(parts.redis, parts.keys);
    this.#moves = new Moves(parts);
    this.#sources = sourcesOf(parts);
  }

  /** Orphans of our workers first. */
  async orphansOf(queue: string, dead: readonly DeadHolder[]): Promise<readonly Orphan[]> {
    const ours = dead.map((one) => ({ ...one, ids: one.ids.filter((id) => this.#sourceOf(id) === undefined) }));
    const found = [...(await this.#orphans.of(queue, ours))];
    for (const source of this.#sources) found.push(...(await source.orphansOf(queue, dead)));
    return found;
  }

  async requeue(queue: string, orphan: Orphan, delay: number): Promise<RequeueOutcome> {
    const { recoverTo, unit } = this.#parts;
    const read = await this.#read(queue, orphan);
    if (read === "another job") return "vanished";
    const to = delay > 0 && typeof recoverTo === "object" ? "front" : recoverTo; // a suspect is looked for where it was
    const target = typeof to === "object" ? to.queue : queue;
    const text = read ? refreshed(read, target, unit) : "";
    const move: Move = { queue, proof: orphan.proof, text, delay, to };
    const source = this.#sourceOf(orphan.proof);
    const outcome = source ? await requeueFrom(source, this.#parts.keys, move) : await this.#moves.send(move);
    this.#orphans.forget(orphan.proof);
    return outcome;
  }

  async bury(queue: string, orphan: Orphan, reason: string): Promise<Burial> {
    const read = await this.#read(queue, orphan);
    if (read === "another job") return "vanished";
    const text = read ? condemned(read, reason, this.#parts.unit) : "";
    const move = { queue, proof: orphan.proof, text };
    const source = this.#sourceOf(orphan.proof);
    const outcome = source ? await buryFrom(source, this.#parts.keys, move) : await bury(this.#parts, move);
    this.#orphans.forget(orphan.proof);
    return outcome;
  }

  /** Undefined when none are watched. */
  async guests(): Promise<readonly Guest[] | undefined> {
    if (this.#sources.length === 0) return undefined;
    return (await Promise.all(this.#sources.map((source) => source.guests()))).flat();
  }

  async rest(): Promise<void> {
    for (const source of this.#sources) await source.rest();
  }

  #sourceOf(idOrProof: string): RubySource | undefined {
    return this.#sources.find((source) => source.owns(idOrProof));
  }

  /* Undefined when the run is not there any more: the move says what became of it. */
  async #read(queue: string, { id, run, proof }: Orphan): Promise<Read | "another job" | undefined> {
    const read = await this.#asHeld(queue, proof);
    return read === undefined || idOf(read.payload, run) === id ? read : "another job";
  }

  async #asHeld(queue: string, proof: string): Promise<Read | undefined> {
    const source = this.#sourceOf(proof);
    if (source === undefined) return this.#orphans.read(queue, proof);
    const text = await source.textOf(queue, proof);
    return text === undefined ? undefined : readText(text);
  }
}

function sourcesOf({ redis, keys, ruby }: HoldingsParts): readonly RubySource[] {
  const { gem = false, bare = false } = ruby;
  const namespace = typeof gem === "object" ? gem.namespace : GEM_NAMESPACE;
  const gemJob = (jid: string): string => `${keys.prefix}${namespace}:job:${jid}`;
  return [
    ...(gem === false ? [] : [new GemSource({ redis, keys }, namespace)]),
    ...(bare ? [new BareSource({ redis, keys }, gem === false ? undefined : gemJob)] : []),
  ];
}
