/* Reads what comes back from Redis. A record that cannot be read is left out and never stops the others. */
import type { Page, PageRequest } from "../store.ts";

export const looksForbidden = (reason: string): boolean => /NOPERM|NOAUTH|WRONGPASS/.test(reason);
export const looksUnknown = (reason: string): boolean => /unknown command/i.test(reason);
export const looksForeign = (reason: string): boolean => reason.includes("WRONGTYPE");

/** The object in a JSON record; undefined when it is torn or a stranger's. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names what it once wrote
export function parsed<T extends object>(record: string | null | undefined): T | undefined {
  try {
    const value: unknown = JSON.parse(record ?? "");
    return typeof value === "object" && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

export function allParsed<T extends object>(records: readonly (string | null)[]): T[] {
  return records.map((record) => parsed<T>(record)).filter((value) => value !== undefined);
}

/** Field of a hash that holds one job of one queue, whatever characters the two are made of. */
export const fieldOf = (queue: string, id: string): string => JSON.stringify([queue, id]);

/** A page out of a list that was read one item too far, so that the last page has no cursor. */
export function pageOf<T>(items: readonly T[], { limit }: PageRequest, cursorOf: (item: T) => string): Page<T> {
  if (items.length <= limit) return { items };
  const shown = items.slice(0, limit);
  return { items: shown, cursor: cursorOf(shown.at(-1)!) };
}
