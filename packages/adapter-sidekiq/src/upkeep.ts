/* What the one on duty does for a queue once a second: nothing that is in flight stays nobody's.
 *
 * A run that a registered holder has needs nothing: the record does not lapse. What a holder has of whom the fleet does
 * not know goes back after a minute: its process left without it, or the store forgot it. A worker without assurance is
 * such a holder, too; it is left alone for as long as Sidekiq's own books list its process.
 */
import type { Finding, Fleet } from "@assured-jobs/core";
import type { Connection } from "./connection.ts";
import { queueKey } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { idOf } from "./orphans.ts";
import { parseProof } from "./proof.ts";
import { requeue } from "./requeue.ts";
import { recordedRuns } from "./running.ts";
import type { Recorded } from "./running.ts";
import { Payload } from "./wire/payload.ts";

const ABANDONED = 60_000;
/** How long a reported orphan is left to its recovery before upkeep gives it back without one, ms. */
const RECOVERY_PATIENCE = 60_000;
/** Notes of what was given away and to whom nothing is given any more are kept for so long, ms. */
const REMEMBER = 3 * 24 * 3_600_000;
const TRIM_EVERY = 600_000;

export class Upkeep {
  readonly #redis: Connection;
  readonly #keys: Keys;
  readonly #queue: string;
  /** Observed time since which a proof has had an unknown holder. */
  #abandoned = new Map<string, number>();
  readonly #orphaned = new Map<string, number>();
  #trimmed = Number.NEGATIVE_INFINITY;

  constructor({ redis, keys }: { redis: Connection; keys: Keys }, queue: string) {
    this.#redis = redis;
    this.#keys = keys;
    this.#queue = queue;
  }

  /** Recovery has begun with it. */
  orphaned(proof: string): void {
    this.#orphaned.set(proof, performance.now());
  }

  async round({ living, observed }: Fleet): Promise<void> {
    await this.#trim();
    this.#lapse();
    const unknown = await this.#unknown(living);
    this.#abandoned = new Map(unknown.map(({ proof }) => [proof, this.#abandoned.get(proof) ?? observed]));
    for (const { proof } of unknown)
      if (observed - this.#abandoned.get(proof)! >= ABANDONED) await this.#giveBack(proof);
  }

  /** What does not add up. Nothing is mended here: round() does that, by more than one look. */
  async findings({ living }: Fleet): Promise<readonly Finding[]> {
    return (await this.#unknown(living)).map(({ run, holder, text }) => ({
      kind: "sidekiq.unknown-holder",
      queue: queueKey(this.#keys.prefix, this.#queue),
      job: idOf(Payload.parse(text), run),
      detail: `It is held by ${holder}, whom neither the fleet nor Sidekiq knows. It goes back after a minute.`,
      repaired: false,
    }));
  }

  async #unknown(living: ReadonlySet<string>): Promise<readonly Recorded[]> {
    const { running } = this.#keys.queue(this.#queue);
    const runs = await recordedRuns(this.#redis, running, (holder) => !living.has(holder));
    const strange = runs.filter(({ proof }) => !this.#orphaned.has(proof));
    const isListed = await Promise.all(strange.map((run) => this.#isListed(run)));
    return strange.filter((_, at) => !isListed[at]);
  }

  /* Sidekiq lists its process, and it was not given up; or it is one of those runs of a former name that go on. */
  async #isListed({ holder, run, proof }: Recorded): Promise<boolean> {
    const { identity } = parseProof(proof)!;
    const [isThere, grave, isAtWork] = await Promise.all([
      this.#redis.call("EXISTS", this.#keys.process(identity)),
      this.#redis.call("ZSCORE", this.#keys.graves, holder),
      this.#redis.call("HEXISTS", this.#keys.work(identity), run),
    ]);
    return isThere === 1 && (grave === null || isAtWork === 1);
  }

  async #giveBack(proof: string): Promise<void> {
    const place = { redis: this.#redis, keys: this.#keys };
    await requeue(place, { queue: this.#queue, proof, text: "", delay: 0, to: "front" });
  }

  #lapse(): void {
    const before = performance.now() - RECOVERY_PATIENCE;
    for (const [proof, at] of this.#orphaned) if (at < before) this.#orphaned.delete(proof);
  }

  async #trim(): Promise<void> {
    if (performance.now() - this.#trimmed < TRIM_EVERY) return;
    const before = (await this.#redis.now()) - REMEMBER;
    await this.#redis.call("ZREMRANGEBYSCORE", this.#keys.queue(this.#queue).given, "-inf", before);
    await this.#redis.call("ZREMRANGEBYSCORE", this.#keys.graves, "-inf", before);
    this.#trimmed = performance.now();
  }
}
