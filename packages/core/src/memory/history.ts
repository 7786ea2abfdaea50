/* The history: one bounded stream for each kind of event, so that a flood of one does not push out another. */
import type { HistoryEvent, HistoryKind, Page, PageRequest, RecordedEvent } from "../store.ts";

const KEPT: Readonly<Record<HistoryKind, number>> = { deaths: 1_000, recoveries: 10_000, actions: 10_000 };

export class History {
  /** Oldest first. */
  readonly #streams: Readonly<Record<HistoryKind, RecordedEvent[]>> = { deaths: [], recoveries: [], actions: [] };
  #last = 0;

  record(kind: HistoryKind, event: HistoryEvent, at: number): void {
    const stream = this.#streams[kind];
    stream.push({ ...event, id: String(++this.#last), at });
    if (stream.length > KEPT[kind]) stream.shift();
  }

  /** Newest first. */
  page(kind: HistoryKind, { cursor, limit }: PageRequest): Page<RecordedEvent> {
    const before = cursor === undefined ? Infinity : Number(cursor);
    const rest = this.#streams[kind].filter((event) => Number(event.id) < before).toReversed();
    const items = rest.slice(0, limit);
    return rest.length > limit ? { items, cursor: String(items.at(-1)?.id) } : { items };
  }
}
