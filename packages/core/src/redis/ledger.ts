/* What a person sees, on Redis: claims, history, quarantine, counts. Nothing here decides about life or ownership. */
import type { Incarnation } from "../instance.ts";
import type {
  Claim,
  Counts,
  HeldClaim,
  HistoryEvent,
  HistoryKind,
  Ledger,
  Page,
  PageRequest,
  Quarantined,
  RecordedEvent,
} from "../store.ts";
import type { Keys } from "./keys.ts";
import type { Link } from "./link.ts";
import { allParsed, fieldOf, pageOf, parsed } from "./replies.ts";
import { claim, counts, quarantine, unquarantine } from "./scripts/ledger.ts";

/** Claims that one call reads: a process may hold ten thousand. */
const SLICE = 1_000;
const KEPT: Record<HistoryKind, number> = { deaths: 1_000, actions: 10_000, recoveries: 10_000 };

export class RedisLedger implements Ledger {
  readonly #link: Link;
  readonly #keys: Keys;

  constructor(link: Link, keys: Keys) {
    this.#link = link;
    this.#keys = keys;
  }

  async claim(incarnation: Incarnation, change: { add: readonly Claim[]; remove: readonly Claim[] }): Promise<boolean> {
    const keys = [this.#keys.instances, this.#keys.claims(incarnation), this.#keys.claimed];
    const add = change.add.flatMap((one) => [fieldOf(one.queue, one.id), JSON.stringify(one)]);
    const remove = change.remove.flatMap((one) => [fieldOf(one.queue, one.id), one.run]);
    return (await this.#link.run("claim", claim, keys, [incarnation, change.add.length, ...add, ...remove])) === 1;
  }

  async claimsOf(incarnation: Incarnation): Promise<readonly HeldClaim[]> {
    const key = this.#keys.claims(incarnation);
    const records = new Map<string, string>(); // a scan may tell one twice
    for (let cursor = "0", isFirst = true; isFirst || cursor !== "0"; isFirst = false) {
      const [next, told] = await this.#link.call((client) => client.hscan(key, cursor, "COUNT", SLICE));
      cursor = next;
      for (let at = 0; at < told.length; at += 2) records.set(told[at]!, told[at + 1]!);
    }
    return allParsed<Claim>([...records.values()]).map((one) => ({ ...one, holder: incarnation }));
  }

  /* By holder, then by job: the cursor names the last claim that was shown. */
  async claims(page: PageRequest): Promise<Page<HeldClaim>> {
    const [afterHolder, afterField] =
      page.cursor === undefined ? ["", ""] : (JSON.parse(page.cursor) as [string, string]);
    const holders = (await this.#link.call((client) => client.hkeys(this.#keys.claimed))).toSorted(byText);
    const found: HeldClaim[] = [];
    for (const holder of holders.filter((one) => one >= afterHolder)) {
      const claims = (await this.claimsOf(holder)).toSorted((a, b) => byText(claimField(a), claimField(b)));
      found.push(...claims.filter((one) => holder > afterHolder || claimField(one) > afterField));
      if (found.length > page.limit) break;
    }
    return pageOf(found, page, (one) => JSON.stringify([one.holder, claimField(one)]));
  }

  async record(kind: HistoryKind, event: HistoryEvent): Promise<void> {
    await this.#link.call((client) =>
      client.xadd(this.#keys.history(kind), "MAXLEN", "~", KEPT[kind], "*", "e", JSON.stringify(event)),
    );
  }

  async history(kind: HistoryKind, page: PageRequest): Promise<Page<RecordedEvent>> {
    const from = page.cursor === undefined ? "+" : `(${page.cursor}`;
    const entries = await this.#link.call((client) =>
      client.xrevrange(this.#keys.history(kind), from, "-", "COUNT", page.limit + 1),
    );
    const events = entries.map(([id, fields]) => ({
      ...parsed<HistoryEvent>(fields[1]),
      id,
      at: Number(id.split("-")[0]),
    }));
    return pageOf(events as RecordedEvent[], page, (event) => event.id);
  }

  async quarantine(job: Omit<Quarantined, "at">): Promise<void> {
    const { clock, quarantine: records, quarantineOrder } = this.#keys;
    const open = JSON.stringify(job).slice(0, -1); // the script adds the store's time and closes the object
    await this.#link.run(
      "quarantine",
      quarantine,
      [clock, records, quarantineOrder],
      [fieldOf(job.queue, job.id), open, job.run],
    );
  }

  async unquarantine(queue: string, id: string, run?: number): Promise<boolean> {
    const { quarantine: records, quarantineOrder } = this.#keys;
    const which = [fieldOf(queue, id), run ?? ""];
    return (await this.#link.run("unquarantine", unquarantine, [records, quarantineOrder], which)) === 1;
  }

  async quarantined(page: PageRequest & { readonly queue?: string | undefined }): Promise<Page<Quarantined>> {
    const found: { order: string; job: Quarantined }[] = [];
    let below = page.cursor === undefined ? "+inf" : `(${page.cursor}`;
    while (found.length <= page.limit) {
      const { jobs, last } = await this.#quarantinedBelow(below, page.limit + 1);
      found.push(...jobs.filter(({ job }) => page.queue === undefined || job.queue === page.queue));
      if (last === undefined) break;
      below = `(${last}`;
    }
    const { items, cursor } = pageOf(found, page, ({ order }) => order);
    return { items: items.map(({ job }) => job), ...(cursor === undefined ? {} : { cursor }) };
  }

  async #quarantinedBelow(
    below: string,
    limit: number,
  ): Promise<{ jobs: { order: string; job: Quarantined }[]; last?: string }> {
    const { quarantine: records, quarantineOrder } = this.#keys;
    const listed = await this.#link.call((client) =>
      client.zrevrangebyscore(quarantineOrder, below, "-inf", "WITHSCORES", "LIMIT", 0, limit),
    );
    const fields = listed.filter((_, i) => i % 2 === 0);
    if (fields.length === 0) return { jobs: [] };
    const stored = await this.#link.call((client) => client.hmget(records, ...fields));
    const jobs = stored.flatMap((record, i) => {
      const job = parsed<Quarantined>(record);
      return job ? [{ order: listed[2 * i + 1]!, job }] : [];
    });
    return fields.length < limit ? { jobs } : { jobs, last: listed.at(-1)! };
  }

  async findQuarantined(queue: string, id: string): Promise<Quarantined | undefined> {
    return parsed<Quarantined>(
      await this.#link.call((client) => client.hget(this.#keys.quarantine, fieldOf(queue, id))),
    );
  }

  async counts(): Promise<Counts> {
    const { instances, dead, claimed, quarantine: records, pending } = this.#keys;
    const reply = (await this.#link.run(
      "counts",
      counts,
      [instances, dead, claimed, records, pending],
      [],
    )) as number[];
    const [live = 0, gone = 0, claims = 0, quarantined = 0, open = 0] = reply;
    return { instances: live, dead: gone, claims, quarantined, pending: open };
  }
}

const claimField = (one: Claim): string => fieldOf(one.queue, one.id);

/* By code units, as the cursors compare; a locale would order otherwise. */
const byText = (a: string, b: string): number => (a < b ? -1 : 1);
