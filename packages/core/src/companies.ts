/* Who died together, across the queues of a process: the knowledge without which nobody is buried.
 *
 * Each queue is recovered by itself, perhaps in different processes, so each pass tells the store which dead it has
 * looked through, after their cases were opened. Told twice is harmless; never told costs some seconds of waiting.
 */
import { isComplete } from "./crash-budget.ts";
import type { Incarnation } from "./instance.ts";
import type { Casebook, Company, Death } from "./store.ts";

export class Companies {
  readonly #casebook: Casebook;
  /** What was told already, by queue: those who are listed as dead, and no others. */
  readonly #surveyed = new Map<string, ReadonlySet<Incarnation>>();

  constructor(casebook: Casebook) {
    this.#casebook = casebook;
  }

  /** Cases are open for all that `dead` held in the queue. */
  async survey(queue: string, dead: readonly Death[]): Promise<void> {
    const former = this.#surveyed.get(queue);
    const all = dead.map(({ registration }) => registration.incarnation);
    const fresh = all.filter((incarnation) => !former?.has(incarnation));
    await Promise.all(fresh.map((incarnation) => this.#casebook.survey(queue, incarnation)));
    this.#surveyed.set(queue, new Set(all));
  }

  /** Everybody who died with each of the holders. `now` is observed time. */
  async of(
    holders: Iterable<Incarnation>,
    dead: readonly Death[],
    now: number,
  ): Promise<ReadonlyMap<Incarnation, Company | "unknown">> {
    const known = await Promise.all(
      [...new Set(holders)].map(async (holder) => {
        const company = await this.#casebook.company(holder);
        const death = dead.find(({ registration }) => registration.incarnation === holder);
        return [holder, !death || isComplete(company, death, now) ? company : "unknown"] as const;
      }),
    );
    return new Map(known);
  }
}
