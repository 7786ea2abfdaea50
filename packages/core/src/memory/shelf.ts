/* An ordered set of records that can be read page by page while it changes.
 *
 * Each record keeps the place that it got when it came, also when it is replaced. A cursor is a place, so
 * what comes or goes elsewhere never makes a reader miss a record or see one twice.
 */
import type { Page, PageRequest } from "../store.ts";

interface Slot<T> {
  readonly place: number;
  readonly item: T;
}

export class Shelf<T> {
  readonly #slots = new Map<string, Slot<T>>();
  #places = 0;

  get size(): number {
    return this.#slots.size;
  }

  get(key: string): T | undefined {
    return this.#slots.get(key)?.item;
  }

  put(key: string, item: T): void {
    const place = this.#slots.get(key)?.place ?? ++this.#places;
    this.#slots.set(key, { place, item });
  }

  delete(key: string): boolean {
    return this.#slots.delete(key);
  }

  deleteWhere(unwanted: (item: T) => boolean): void {
    for (const [key, slot] of this.#slots) if (unwanted(slot.item)) this.#slots.delete(key);
  }

  /** In the order in which they came. */
  items(): T[] {
    return [...this.#slots.values()].map((slot) => slot.item);
  }

  /** Those that came after the record of `key`. */
  itemsAfter(key: string): T[] {
    const place = this.#slots.get(key)?.place ?? 0;
    return [...this.#slots.values()].filter((slot) => slot.place > place).map((slot) => slot.item);
  }

  page({ cursor, limit }: PageRequest, wanted: (item: T) => boolean = () => true): Page<T> {
    const after = Number(cursor ?? 0);
    const rest = [...this.#slots.values()].filter((slot) => slot.place > after && wanted(slot.item));
    const taken = rest.slice(0, limit);
    const items = taken.map((slot) => slot.item);
    return rest.length > limit ? { items, cursor: String(taken.at(-1)?.place) } : { items };
  }
}
