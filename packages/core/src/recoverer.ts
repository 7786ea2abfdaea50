/* Recovery of one queue: what the dead still hold goes back, once for each death.
 *
 * Order is everything. The case is opened (and the death charged) before anything moves; the queue moves the job by a
 * compare-and-move of its own; only then is the case settled. Whoever dies between two of these steps leaves an open
 * case and a queue that knows what has become of the job, so the next pass, anybody's, asks again and ends it.
 * Nothing is ever moved to the recoverer, nothing is deleted before the job is safe, and two who recover the same
 * queue at the same time only waste each other's time.
 */
import type { DeadHolder, QueueAdapter, RequeueOutcome } from "./adapter.ts";
import { Companies } from "./companies.ts";
import { delayOf, isSpent, judge, MOST_DELAY, PARKED_FOR } from "./crash-budget.ts";
import type { ChargedCase, Verdict } from "./crash-budget.ts";
import type { Events } from "./events.ts";
import { eventOf } from "./events.ts";
import type { Settings } from "./options.ts";
import type { Plugin } from "./plugin.ts";
import type { Case, Death, Orphan, Outcome, Settlement, Store, SuspectJob } from "./store.ts";

/** What one pass over one queue did. */
export interface PassReport {
  readonly queue: string;
  readonly requeued: number;
  readonly buried: number;
  /** Had finished, or vanished, after all. */
  readonly ended: number;
  /** A step failed: they stay orphans and the next pass tries again. */
  readonly failed: number;
  /** Their crash budget is spent, and who else died with them is not known yet: a later pass decides. */
  readonly waiting: number;
}

export interface PassScope {
  /** Those whose holdings are to be looked through. */
  readonly dead: readonly Death[];
  /** Observed time, ms. */
  readonly observed: number;
  /** Queues whose jobs may share a process with those of this one. */
  readonly beside: () => Promise<readonly string[]>;
  /** Aborted when this process leaves: what is not begun is left to the next pass, anybody's. */
  readonly stopping: AbortSignal;
}

/** How many are on their way at once: enough to fill the pipe, few enough to lose little when the process dies. */
const SLICE = 100;
/** While one slice is moved, another one is settled. */
const LANES = 3;

export interface RecovererParts {
  readonly store: Store;
  readonly plugins: readonly Plugin[];
  readonly settings: Settings;
  readonly events: Events;
  /** Who recovers, for the history. */
  readonly self: () => string;
}

export class Recoverer {
  readonly #parts: RecovererParts;
  readonly #companies: Companies;
  /** When the suspect of each queue that was put off is due, by performance.now(). */
  readonly #due = new Map<string, { readonly id: string; readonly at: number }>();

  constructor(parts: RecovererParts) {
    this.#parts = parts;
    this.#companies = new Companies(parts.store);
  }

  /** One pass. Rejects when queue or store cannot be read. */
  async pass(adapter: QueueAdapter, queue: string, scope: PassScope): Promise<PassReport> {
    const cases = await this.#openCases(adapter, queue, scope.dead);
    await this.#companies.survey(queue, scope.dead.filter(concerns(queue)));
    const judged = await this.#judge(cases, scope);
    const ready = judged.filter(({ verdict }) => verdict.kind !== "wait");
    const tally = { requeued: 0, buried: 0, ended: 0, failed: 0, waiting: judged.length - ready.length };
    for (const outcome of await this.#recoverAll(adapter, ready, scope)) tally[outcome]++;
    await this.#releaseSuspects(adapter, queue, scope);
    return { queue, ...tally };
  }

  async #judge(cases: readonly ChargedCase[], { dead, observed }: PassScope): Promise<Judged[]> {
    const { maxRecoveries } = this.#parts.settings;
    const spent = cases.filter((one) => isSpent(one, maxRecoveries)).map(({ orphan }) => orphan.holder);
    const companies = await this.#companies.of(spent, dead, observed);
    return cases.map((one) => {
      const company = companies.get(one.orphan.holder) ?? "unknown";
      return { ...one, verdict: judge(one, maxRecoveries, company) };
    });
  }

  async #openCases(adapter: QueueAdapter, queue: string, dead: readonly Death[]): Promise<ChargedCase[]> {
    const { casebook } = this.#parts.store;
    const holders = await this.#holders(queue, dead);
    for (const { incarnation } of holders) await adapter.certify?.(queue, incarnation);
    const orphans = holders.length === 0 ? [] : await adapter.heldBy(queue, holders);
    const leaving = new Set(dead.filter((death) => death.leaving).map((death) => death.registration.incarnation));
    const charges = orphans.map((orphan) => ({ orphan, charged: !leaving.has(orphan.holder) }));
    const pending = await casebook.pending(queue);
    const listed = new Set(pending.length === 0 ? [] : orphans.map(keyOf));
    const left = pending.filter(({ orphan }) => !listed.has(keyOf(orphan)));
    // Those were charged when their case was opened; opening it again only asks for the number of deaths.
    const all = [...charges, ...left.map(({ orphan }) => ({ orphan, charged: false }))];
    if (all.length === 0) return [];
    const opened: readonly Case[] = await casebook.open(all, this.#parts.settings.recoveryWindow);
    return opened.map((one, i) => ({
      ...one,
      charged: i >= charges.length ? !leaving.has(one.orphan.holder) : all[i]!.charged,
    }));
  }

  async #holders(queue: string, dead: readonly Death[]): Promise<DeadHolder[]> {
    return Promise.all(
      dead.filter(concerns(queue)).map(async ({ registration: { incarnation, holders } }) => {
        const claims = await this.#parts.store.ledger.claimsOf(incarnation);
        return { incarnation, ids: holders[queue]!, claims: claims.filter((claim) => claim.queue === queue) };
      }),
    );
  }

  /* Ends when every lane has ended, also when one of them failed: nothing of a pass goes on behind it. */
  async #recoverAll(adapter: QueueAdapter, ready: readonly Judged[], scope: PassScope): Promise<Recovery[]> {
    const settled: Recovery[] = [];
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < ready.length && !scope.stopping.aborted) {
        const slice = ready.slice(next, (next += SLICE));
        settled.push(...(await this.#recoverSlice(adapter, slice, scope)));
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: LANES }, lane));
    for (const one of lanes) if (one.status === "rejected") throw one.reason;
    return settled;
  }

  async #recoverSlice(adapter: QueueAdapter, judged: readonly Judged[], scope: PassScope): Promise<Recovery[]> {
    const moved = await Promise.all(judged.map((one) => this.#recoverOne(adapter, one, scope)));
    const done = moved.filter((one) => one !== undefined);
    const closed = await this.#parts.store.casebook.settle(done.map(({ settlement }) => settlement));
    done.forEach((one, i) => {
      if (closed[i]) this.#tell(one);
    });
    return moved.map((one) => {
      if (!one) return "failed";
      const { outcome } = one.settlement;
      return outcome === "requeued" || outcome === "buried" ? outcome : "ended";
    });
  }

  /* One bad orphan must not keep the others waiting: its error is an event, and it stays an orphan. */
  async #recoverOne(adapter: QueueAdapter, one: Judged, scope: PassScope): Promise<Recovered | undefined> {
    const { orphan, deaths, verdict } = one;
    try {
      const subject = { ...orphan, deaths };
      if (verdict.kind !== "bury") await this.#inTurn((plugin) => plugin.beforeRequeue?.(subject));
      const moved =
        verdict.kind === "bury"
          ? await this.#bury(adapter, one, verdict.reason)
          : await this.#requeue(adapter, one, scope);
      await this.#inTurn((plugin) => plugin.beforeSettle?.(subject, moved.outcome));
      return { ...moved, settlement: this.#settlement(one, moved), deaths };
    } catch (error) {
      this.#parts.events.emit("orphan.failed", { orphan, error });
      return undefined;
    }
  }

  async #requeue(adapter: QueueAdapter, { orphan, deaths, verdict }: Judged, { beside }: PassScope): Promise<Moved> {
    let delay = 0;
    if (verdict.kind === "suspect") {
      const isOut = await this.#parts.store.casebook.admit(orphan.queue, orphan.id, await beside());
      delay = isOut ? delayOf(deaths) : PARKED_FOR;
    }
    const outcome = outcomeOf(await adapter.requeue(orphan, { delay }));
    if (verdict.kind === "suspect" && delay < PARKED_FOR)
      this.#due.set(orphan.queue, { id: orphan.id, at: performance.now() + delay });
    if (outcome !== "requeued" && verdict.kind === "suspect")
      await this.#parts.store.casebook.dismiss(orphan.queue, orphan.id);
    return { outcome, delay };
  }

  /* The record first: a job that is buried is always one that a person can find. */
  async #bury(adapter: QueueAdapter, { orphan, deaths }: Case, reason: string): Promise<Moved> {
    const { ledger, casebook } = this.#parts.store;
    const { queue, id, run, name, holder } = orphan;
    await ledger.quarantine({ queue, id, run, deaths, holder, reason, ...(name === undefined ? {} : { name }) });
    const answer = await adapter.bury(orphan, reason);
    // Also when somebody else buried it, or we did before we died.
    const isBuried = answer === "buried" || (await adapter.state(queue, id)) === "failed";
    if (!isBuried) await ledger.unquarantine(queue, id, run);
    const outcome = isBuried ? "buried" : outcomeOf(answer);
    if (outcome !== "requeued") await casebook.dismiss(queue, id); // a later run of it may be the suspect that is out
    return isBuried ? { outcome, delay: 0, reason } : { outcome, delay: 0 };
  }

  async #inTurn(hook: (plugin: Plugin) => Promise<void> | undefined): Promise<void> {
    for (const plugin of this.#parts.plugins) await hook(plugin);
  }

  #settlement({ orphan, deaths }: Case, { outcome, delay, reason }: Moved): Settlement {
    const detail = reason ?? `death ${deaths} of this job${delay > 0 ? `, due in ${delay} ms` : ""}`;
    const type = outcome === "buried" ? "orphan.buried" : eventOf(outcome);
    return {
      orphan,
      outcome,
      event: {
        type,
        who: this.#parts.self(),
        queue: orphan.queue,
        job: orphan.id,
        run: orphan.run,
        evidence: `held by ${orphan.holder}`,
        detail,
      },
    };
  }

  #tell({ settlement: { orphan, outcome }, deaths, delay, reason }: Recovered): void {
    const { events } = this.#parts;
    if (outcome === "buried") events.emit("orphan.buried", { orphan, deaths, reason: reason ?? "" });
    else if (outcome === "requeued") events.emit("orphan.recovered", { orphan, deaths, delay });
    else events.emit(`orphan.${outcome}`, { orphan });
  }

  /* When the suspect that is out has ended, the next one gets its turn. */
  async #releaseSuspects(adapter: QueueAdapter, queue: string, { beside }: PassScope): Promise<void> {
    const { casebook } = this.#parts.store;
    for (const { id, state } of outFirst(await casebook.suspects(queue))) {
      const now = await adapter.state(queue, id);
      if (now === "waiting" || now === "held") {
        if (state === "out") return now === "waiting" ? this.#promoteWhenDue(adapter, queue, id) : undefined;
        if (await casebook.admit(queue, id, await beside())) await adapter.promote(queue, id);
        return;
      } else await casebook.dismiss(queue, id);
    }
  }

  /* The queue goes by the clocks of its clients, and one that is ahead puts off for longer than it says. Who does not
   * know when a suspect was put off counts from now on. */
  async #promoteWhenDue(adapter: QueueAdapter, queue: string, id: string): Promise<void> {
    const due = this.#due.get(queue);
    if (due?.id !== id) return void this.#due.set(queue, { id, at: performance.now() + MOST_DELAY });
    if (performance.now() < due.at) return;
    await adapter.promote(queue, id);
    this.#due.delete(queue);
  }
}

/* When it has ended, it makes room for those that wait, also for one that was listed before it. */
function outFirst(suspects: readonly SuspectJob[]): readonly SuspectJob[] {
  return suspects.toSorted((one, other) => Number(other.state === "out") - Number(one.state === "out"));
}

type Recovery = "requeued" | "buried" | "ended" | "failed";

interface Judged extends ChargedCase {
  readonly verdict: Verdict;
}

interface Moved {
  readonly outcome: Outcome;
  readonly delay: number;
  readonly reason?: string;
}

interface Recovered extends Moved {
  readonly settlement: Settlement;
  readonly deaths: number;
}

/* `already`: it left the dead one's hands, by another recoverer or by us before we died: the job is safe. */
const outcomeOf = (answer: RequeueOutcome): Exclude<Outcome, "buried"> => (answer === "already" ? "requeued" : answer);

const concerns =
  (queue: string) =>
  ({ registration }: Death): boolean =>
    (registration.holders[queue]?.length ?? 0) > 0;

const keyOf = (orphan: Orphan): string => JSON.stringify([orphan.id, orphan.run, orphan.holder]);
