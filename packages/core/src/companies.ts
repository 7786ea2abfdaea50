/* Who died together, across the queues of a process: the knowledge without which nobody is buried.
 *
 * Each queue is recovered by itself, perhaps in different processes, so each pass tells the store which dead it has
 * looked through, after their cases were opened. Told twice is harmless; never told costs some seconds of waiting.
 */
import { isComplete } from "./crash-budget.ts";
import type { Incarnation } from "./instance.ts";
import type { Company, Death, Store } from "./store.ts";

export class Companies {
  readonly #store: Store;
  /** What was told already, by queue: those who are listed as dead, and no others. */
  readonly #surveyed = new Map<string, ReadonlySet<Incarnation>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Cases are open for all that `dead` held in the queue. */
  async survey(queue: string, dead: readonly Death[]): Promise<void> {
    const former = this.#surveyed.get(queue);
    const all = dead.map(({ registration }) => registration.incarnation);
    const fresh = all.filter((incarnation) => !former?.has(incarnation));
    await Promise.all(fresh.map((incarnation) => this.#store.casebook.survey(queue, incarnation)));
    this.#surveyed.set(queue, new Set(all));
  }

  /** Everybody who died with each of the holders. `now` is observed time. */
  async of(
    holders: Iterable<Incarnation>,
    dead: readonly Death[],
    now: number,
  ): Promise<ReadonlyMap<Incarnation, Company | "unknown">> {
    const deaths = await this.#withNewer([...new Set(holders)], dead);
    const known = await Promise.all(
      deaths.map(async ([holder, death]) => {
        const company = await this.#store.casebook.company(holder);
        return [holder, !death || isComplete(company, death, now) ? company : "unknown"] as const;
      }),
    );
    return new Map(known);
  }

  /* Who opened a case may know of a death that came after our list was read. One that is not in a newer list either was
   * forgotten, and nothing of it is looked for any more. */
  async #withNewer(
    holders: readonly Incarnation[],
    dead: readonly Death[],
  ): Promise<(readonly [Incarnation, Death | undefined])[]> {
    const find = (all: readonly Death[], holder: Incarnation): Death | undefined =>
      all.find(({ registration }) => registration.incarnation === holder);
    const isListed = holders.every((holder) => find(dead, holder) !== undefined);
    const all = isListed ? dead : await this.#store.roster.dead();
    return holders.map((holder) => [holder, find(all, holder) ?? find(dead, holder)]);
  }
}
