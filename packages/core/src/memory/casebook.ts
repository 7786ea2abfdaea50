/* The casebook in memory: which orphan is being recovered, and how often its job was in flight at a death.
 *
 * A death is charged to a job as a member of a set, so however often a case is opened, one death counts once. A case
 * stays open until the one settle() that closes it, which also writes the event: there is never more than one.
 */
import type { Incarnation } from "../instance.ts";
import type { Case, Casebook, Charge, Company, Orphan, Settlement, SuspectJob } from "../store.ts";
import type { Link } from "./link.ts";
import { caseKey, claimKey, jobKey } from "./records.ts";
import type { Records } from "./records.ts";

export class MemoryCasebook implements Casebook {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  open(charges: readonly Charge[], window: number): Promise<readonly Case[]> {
    return this.#link.call((records) => charges.map((charge) => this.#openOne(records, charge, window)));
  }

  pending(queue: string): Promise<readonly Case[]> {
    return this.#link.call((records) => records.cases.items().filter((open) => open.orphan.queue === queue));
  }

  settle(settlements: readonly Settlement[]): Promise<readonly boolean[]> {
    return this.#link.call((records) => settlements.map((settlement) => this.#settleOne(records, settlement)));
  }

  deaths(queue: string, id: string, window: number): Promise<number> {
    return this.#link.call((records) => {
      const budget = records.budgets.get(jobKey(queue, id)) ?? new Map<Incarnation, number>();
      return [...budget.values()].filter((at) => this.#link.now - at <= window).length;
    });
  }

  pardon(queue: string, id: string): Promise<void> {
    return this.#link.call((records) => void records.budgets.delete(jobKey(queue, id)));
  }

  survey(queue: string, dead: Incarnation): Promise<void> {
    return this.#link.call((records) => void companyOf(records, dead).surveyed.add(queue));
  }

  company(dead: Incarnation): Promise<Company> {
    return this.#link.call((records) => {
      const { suspects, surveyed } = companyOf(records, dead);
      return { suspects: suspects.size, surveyed: [...surveyed] };
    });
  }

  admit(queue: string, id: string, beside: readonly string[]): Promise<boolean> {
    return this.#link.call((records) => {
      const own = suspectsOf(records, queue);
      const isOther = (of: string, other: string): boolean => of !== queue || other !== id;
      const free = [queue, ...beside].every((of) =>
        [...suspectsOf(records, of)].every(([other, state]) => state === "parked" || !isOther(of, other)),
      );
      own.set(id, free ? "out" : "parked");
      return free;
    });
  }

  dismiss(queue: string, id: string): Promise<void> {
    return this.#link.call((records) => void suspectsOf(records, queue).delete(id));
  }

  suspects(queue: string): Promise<readonly SuspectJob[]> {
    return this.#link.call((records) => [...suspectsOf(records, queue)].map(([id, state]) => ({ id, state })));
  }

  #openOne(records: Records, { orphan, charged }: Charge, window: number): Case {
    const key = jobKey(orphan.queue, orphan.id);
    const deaths = this.#charge(records, key, charged ? orphan.holder : undefined, window);
    if (charged && deaths > 1) companyOf(records, orphan.holder).suspects.add(key);
    const former = records.cases.get(key);
    const openedAt = former && isSame(former.orphan, orphan) ? former.openedAt : this.#link.now;
    const current: Case = { orphan: structuredClone(orphan), deaths, openedAt };
    if (!isOver(records, key, orphan)) records.cases.put(key, current);
    return current;
  }

  /* Drops what is older than the window, adds this death once, and counts. */
  #charge(records: Records, key: string, holder: Incarnation | undefined, window: number): number {
    const { now } = this.#link;
    const known = [...(records.budgets.get(key) ?? [])].filter(([, at]) => now - at <= window);
    const budget = new Map(known);
    if (holder !== undefined && !budget.has(holder)) budget.set(holder, now);
    records.budgets.set(key, budget);
    return budget.size;
  }

  #settleOne(records: Records, { orphan, event }: Settlement): boolean {
    const key = jobKey(orphan.queue, orphan.id);
    const open = records.cases.get(key);
    if (!open || !isSame(open.orphan, orphan)) return false; // closed before, or about another run
    records.cases.delete(key);
    records.settled.add(caseKey(orphan));
    const claim = claimKey(orphan.holder, orphan.queue, orphan.id);
    if ((records.claims.get(claim)?.run ?? 0) <= orphan.run) records.claims.delete(claim);
    records.history.record("recoveries", event, this.#link.now);
    return true;
  }
}

/* Settled already, or another one's turn: of two runs of a job only the later one can still be given back. */
function isOver(records: Records, key: string, orphan: Orphan): boolean {
  if (records.settled.has(caseKey(orphan))) return true;
  const open = records.cases.get(key);
  return open !== undefined && !isSame(open.orphan, orphan) && open.orphan.run >= orphan.run;
}

function isSame(one: Orphan, other: Orphan): boolean {
  return one.run === other.run && one.holder === other.holder;
}

function companyOf(records: Records, dead: Incarnation): { suspects: Set<string>; surveyed: Set<string> } {
  const company = records.companies.get(dead) ?? { suspects: new Set(), surveyed: new Set() };
  records.companies.set(dead, company);
  return company;
}

function suspectsOf(records: Records, queue: string): Map<string, SuspectJob["state"]> {
  const suspects = records.suspects.get(queue) ?? new Map<string, SuspectJob["state"]>();
  records.suspects.set(queue, suspects);
  return suspects;
}
