/* The audit (fsck): everything that does not add up, in the queues and between them and the store.
 *
 * It compares records, decides nothing about life, and mends only what the adapter says is safe to mend. A deep pass is
 * the same with repair switched on.
 */
import type { Finding, QueueAdapter } from "./adapter.ts";
import type { Liveness } from "./liveness.ts";
import type { HeldClaim, Quarantined, Store } from "./store.ts";

export interface AuditOptions {
  /** Mend what is safe to mend. Default false: report only. */
  readonly repair?: boolean | undefined;
}

export interface AuditReport {
  readonly queues: readonly string[];
  readonly findings: readonly Finding[];
}

const PAGE = 500;
/** A claim is written a second after the start and removed within about one after the end. */
const CLAIM_SLACK = 10_000;

export class Auditor {
  readonly #store: Store;
  readonly #liveness: Liveness;
  readonly #adapters: readonly QueueAdapter[];

  constructor(store: Store, liveness: Liveness, adapters: readonly QueueAdapter[]) {
    this.#store = store;
    this.#liveness = liveness;
    this.#adapters = adapters;
  }

  async audit(options: AuditOptions & { readonly queues?: ReadonlySet<string> } = {}): Promise<AuditReport> {
    const repair = options.repair ?? false;
    const subjects = this.#adapters.flatMap((adapter) =>
      adapter.queues.filter((queue) => options.queues?.has(queue) ?? true).map((queue) => ({ adapter, queue })),
    );
    const findings: Finding[] = [];
    for (const { adapter, queue } of subjects) {
      findings.push(...(await adapter.audit(queue, { repair, fleet: await this.#liveness.fleet(queue) })));
      findings.push(
        ...(await this.#staleClaims(adapter, queue)),
        ...(await this.#strayQuarantine(adapter, queue, repair)),
      );
    }
    return { queues: subjects.map(({ queue }) => queue), findings };
  }

  async #staleClaims(adapter: QueueAdapter, queue: string): Promise<Finding[]> {
    const findings: Finding[] = [];
    for await (const claim of this.#all((page) => this.#store.ledger.claims(page))) {
      const young = Date.now() - claim.since < CLAIM_SLACK;
      if (claim.queue !== queue || young || (await adapter.state(queue, claim.id)) === "held") continue;
      findings.push(staleClaim(claim));
    }
    return findings;
  }

  async #strayQuarantine(adapter: QueueAdapter, queue: string, repair: boolean): Promise<Finding[]> {
    const findings: Finding[] = [];
    for await (const job of this.#all<Quarantined>((page) => this.#store.ledger.quarantined({ ...page, queue }))) {
      const state = await adapter.state(queue, job.id);
      if (state === "failed") continue;
      if (repair) await this.#store.ledger.unquarantine(queue, job.id, job.run);
      findings.push({
        kind: "quarantine.stray",
        queue,
        job: job.id,
        detail: `is in quarantine, but the queue says it is ${state}`,
        repaired: repair,
      });
    }
    return findings;
  }

  async *#all<T>(
    read: (page: {
      limit: number;
      cursor?: string | undefined;
    }) => Promise<{ items: readonly T[]; cursor?: string | undefined }>,
  ): AsyncGenerator<T> {
    let cursor: string | undefined;
    do {
      const page = await read({ limit: PAGE, cursor });
      yield* page.items;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }
}

const staleClaim = (claim: HeldClaim): Finding => ({
  kind: "claim.stale",
  queue: claim.queue,
  job: claim.id,
  detail: `${claim.holder} claims run ${claim.run}, but the queue says that nobody holds the job`,
  repaired: false,
});
