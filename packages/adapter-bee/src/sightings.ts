/* What this process has seen of a queue and must see for a while before it acts. Losing this memory is safe: what must
 * be given back is given back later. */

/** How long a reported orphan is left to its recovery before upkeep gives it back without one, ms. */
const RECOVERY_PATIENCE = 60_000;

/** How long things have been seen without a break. */
class Durations {
  #since = new Map<string, number>();

  /** ms of observed time for each of `seen`; all others are forgotten. */
  of(seen: readonly string[], observed: number): ReadonlyMap<string, number> {
    this.#since = new Map(seen.map((one) => [one, this.#since.get(one) ?? observed]));
    return new Map([...this.#since].map(([one, since]) => [one, observed - since]));
  }
}

export class Sightings {
  /** Ids that are active and nobody's. */
  readonly unclaimed: Durations = new Durations();
  /** Proofs of holders whom no living instance registered. */
  readonly abandoned: Durations = new Durations();
  /** Records of owners that nobody can read. */
  readonly unreadable: Durations = new Durations();
  /** Ids that were nobody's at the last tick of the stall rule. */
  marked: ReadonlySet<string> = new Set();
  readonly #orphaned = new Map<string, number>();

  orphaned(proof: string): void {
    this.#orphaned.set(proof, performance.now());
  }

  isRecovering(proof: string): boolean {
    return this.#orphaned.has(proof);
  }

  /** Forgets orphans whose recovery takes too long. */
  lapse(): void {
    const before = performance.now() - RECOVERY_PATIENCE;
    for (const [proof, at] of this.#orphaned) if (at < before) this.#orphaned.delete(proof);
  }
}
