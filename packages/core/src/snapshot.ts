/* The read model: what a dashboard or a CLI shows. Paged, filtered, counted; never a job's payload.
 *
 * Filters are applied here, page by page, so a page may need several reads of the store; each read is bounded.
 */
import type { Incarnation, Registration } from "./instance.ts";
import type {
  Case,
  Counts,
  Death,
  HeldClaim,
  HistoryKind,
  InstanceRecord,
  Page,
  PageRequest,
  Quarantined,
  RecordedEvent,
  Store,
} from "./store.ts";

/** How much to show: `limit` 1 to 1000, default 50; `cursor` from the page before. A page with a cursor may be short. */
export type SnapshotPage = Partial<PageRequest>;

/** An instance as a person sees it. Times in ms since 1970. */
export interface InstanceView {
  readonly incarnation: Incarnation;
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  readonly state: "alive" | "late" | "blocked" | "leaving" | "dead";
  /** Why it is in that state. */
  readonly evidence: string;
  readonly startedAt: number;
  /** When it was declared dead. */
  readonly diedAt?: number | undefined;
  readonly queues: readonly string[];
}

/** Counts at one glance, and the states of the living. */
export interface Overview extends Counts {
  readonly namespace: string;
  readonly queues: readonly string[];
}

const DEFAULT_LIMIT = 50;
const MOST = 1_000;
const MOST_READS = 100;

export class Snapshot {
  readonly #store: Store;
  readonly #queues: () => readonly string[];

  /** @param queues keys of the queues that this process serves */
  constructor(store: Store, queues: () => readonly string[]) {
    this.#store = store;
    this.#queues = queues;
  }

  async overview(): Promise<Overview> {
    return { ...(await this.#store.ledger.counts()), namespace: this.#store.namespace, queues: this.#queues() };
  }

  /** The living by page; with `state: "dead"` the dead that are still listed, newest first. */
  async instances(
    request: SnapshotPage & { readonly state?: InstanceView["state"]; readonly name?: string } = {},
  ): Promise<Page<InstanceView>> {
    const { state, name } = request;
    if (state === "dead") return this.#dead(request, name);
    const wanted = (view: InstanceView): boolean =>
      (state === undefined || view.state === state) && (name === undefined || view.name === name);
    return filtered(request, (page) => this.#living(page), wanted);
  }

  /** Runs that last longer than about a second, by holder. */
  claims(
    request: SnapshotPage & { readonly queue?: string; readonly holder?: Incarnation } = {},
  ): Promise<Page<HeldClaim>> {
    const { queue, holder } = request;
    const wanted = (claim: HeldClaim): boolean =>
      (queue === undefined || claim.queue === queue) && (holder === undefined || claim.holder === holder);
    return filtered(request, (page) => this.#store.ledger.claims(page), wanted);
  }

  /** Orphans whose recovery began and has not ended, of one queue or of all that this process serves. */
  async orphans(request: { readonly queue?: string } = {}): Promise<readonly Case[]> {
    const queues = request.queue === undefined ? this.#queues() : [request.queue];
    return (await Promise.all(queues.map((queue) => this.#store.casebook.pending(queue)))).flat();
  }

  /** Buried jobs, newest first. */
  quarantine(request: SnapshotPage & { readonly queue?: string } = {}): Promise<Page<Quarantined>> {
    return this.#store.ledger.quarantined({ ...pageOf(request), queue: request.queue });
  }

  /** One kind of history, newest first. */
  history(
    kind: HistoryKind,
    request: SnapshotPage & { readonly queue?: string; readonly job?: string; readonly type?: string } = {},
  ): Promise<Page<RecordedEvent>> {
    const { queue, job, type } = request;
    const wanted = (event: RecordedEvent): boolean =>
      (queue === undefined || event.queue === queue) &&
      (job === undefined || event.job === job) &&
      (type === undefined || event.type === type);
    return filtered(request, (page) => this.#store.ledger.history(kind, page), wanted);
  }

  async #living(page: PageRequest): Promise<Page<InstanceView>> {
    const { items, cursor } = await this.#store.roster.instances(page);
    return { items: items.map(livingView), ...(cursor === undefined ? {} : { cursor }) };
  }

  async #dead(request: SnapshotPage, name: string | undefined): Promise<Page<InstanceView>> {
    const { limit, cursor } = pageOf(request);
    const views = (await this.#store.roster.dead()).toReversed().map(deadView);
    const named = views.filter((view) => name === undefined || view.name === name);
    const first = cursor === undefined ? 0 : named.findIndex((view) => view.incarnation === cursor) + 1;
    const items = named.slice(first, first + limit);
    return first + limit < named.length ? { items, cursor: items.at(-1)!.incarnation } : { items };
  }
}

function pageOf({ cursor, limit = DEFAULT_LIMIT }: SnapshotPage): PageRequest {
  const whole = Number.isNaN(limit) ? DEFAULT_LIMIT : Math.trunc(limit);
  return { cursor, limit: Math.min(Math.max(1, whole), MOST) };
}

/* Never asks for more than still fits, so that the store's own cursor says where the page ended. A filter that lets
 * little through yields a short page with a cursor after so many reads, instead of reading on without end. */
async function filtered<T>(
  request: SnapshotPage,
  read: (page: PageRequest) => Promise<Page<T>>,
  wanted: (item: T) => boolean,
): Promise<Page<T>> {
  const { limit, cursor: start } = pageOf(request);
  const found: T[] = [];
  let cursor = start;
  for (let reads = 0; reads < MOST_READS && found.length < limit; reads++) {
    const page = await read({ limit: limit - found.length, cursor });
    found.push(...page.items.filter(wanted));
    if (page.cursor === undefined) return { items: found };
    cursor = page.cursor;
  }
  return { items: found, ...(cursor === undefined ? {} : { cursor }) };
}

const livingView = ({ registration, state, evidence }: InstanceRecord): InstanceView => ({
  ...identityOf(registration),
  state,
  evidence,
});

const deadView = ({ registration, evidence, cause, at }: Death): InstanceView => ({
  ...identityOf(registration),
  state: "dead",
  evidence: `${cause}: ${evidence}`,
  diedAt: at,
});

const identityOf = ({
  incarnation,
  name,
  host,
  pid,
  startedAt,
  holders,
}: Registration): Omit<InstanceView, "state" | "evidence"> => ({
  incarnation,
  name,
  host,
  pid,
  startedAt,
  queues: Object.keys(holders),
});
