/* The ledger in memory: claims, history and quarantine, for people to read. Nothing is decided by it.
 *
 * A claim that comes late is refused when its incarnation is dead or unknown, so that it cannot bring back what
 * was forgotten.
 */
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
import type { Link } from "./link.ts";
import { claimKey, jobKey } from "./records.ts";

export class MemoryLedger implements Ledger {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  claim(incarnation: Incarnation, change: { add: readonly Claim[]; remove: readonly Claim[] }): Promise<boolean> {
    return this.#link.call(({ members, claims }) => {
      if (!members.get(incarnation)) return false;
      for (const claim of change.add) {
        claims.put(claimKey(incarnation, claim.queue, claim.id), { ...structuredClone(claim), holder: incarnation });
      }
      for (const { queue, id, run } of change.remove) {
        const key = claimKey(incarnation, queue, id);
        if (claims.get(key)?.run === run) claims.delete(key); // a later run of the job keeps its claim
      }
      return true;
    });
  }

  claimsOf(incarnation: Incarnation): Promise<readonly HeldClaim[]> {
    return this.#link.call(({ claims }) => claims.items().filter((claim) => claim.holder === incarnation));
  }

  claims(page: PageRequest): Promise<Page<HeldClaim>> {
    return this.#link.call((records) => records.claims.page(page));
  }

  record(kind: HistoryKind, event: HistoryEvent): Promise<void> {
    return this.#link.call((records) => records.history.record(kind, event, this.#link.now));
  }

  history(kind: HistoryKind, page: PageRequest): Promise<Page<RecordedEvent>> {
    return this.#link.call((records) => records.history.page(kind, page));
  }

  quarantine(job: Omit<Quarantined, "at">): Promise<void> {
    return this.#link.call(({ quarantine }) => {
      const key = jobKey(job.queue, job.id);
      if ((quarantine.get(key)?.run ?? -1) < job.run)
        quarantine.put(key, { ...structuredClone(job), at: this.#link.now });
    });
  }

  unquarantine(queue: string, id: string, run?: number): Promise<boolean> {
    return this.#link.call(({ quarantine }) => {
      const key = jobKey(queue, id);
      return (run === undefined || quarantine.get(key)?.run === run) && quarantine.delete(key);
    });
  }

  quarantined(page: PageRequest & { readonly queue?: string | undefined }): Promise<Page<Quarantined>> {
    return this.#link.call((records) =>
      records.quarantine.page(page, (job) => page.queue === undefined || job.queue === page.queue),
    );
  }

  findQuarantined(queue: string, id: string): Promise<Quarantined | undefined> {
    return this.#link.call((records) => records.quarantine.get(jobKey(queue, id)));
  }

  counts(): Promise<Counts> {
    return this.#link.call((records) => ({
      instances: records.members.size,
      dead: records.dead.size,
      claims: records.claims.size,
      quarantined: records.quarantine.size,
      pending: records.cases.size,
    }));
  }
}
