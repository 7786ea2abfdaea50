/* Writes claims for the runs that last, off the job's path: a run shorter than a second costs no write.
 *
 * Claims are a read model. Nothing is recovered because of a claim alone, so one that is late or lost harms nobody:
 * the queue's own record says who holds a job.
 */
import type { Incarnation } from "./instance.ts";
import type { LiveRun } from "./live-run.ts";
import type { Runs } from "./runs.ts";
import type { Claim, Ledger } from "./store.ts";

const WORTH_A_CLAIM = 1_000;

export class Claims {
  readonly #runs: Runs;
  readonly #ledger: Ledger;
  #written = new Map<LiveRun, Claim>();

  constructor(runs: Runs, ledger: Ledger) {
    this.#runs = runs;
    this.#ledger = ledger;
  }

  /** Brings the store up to date; rejects when it cannot be reached, and the next call makes up for it. */
  async sync(incarnation: Incarnation): Promise<void> {
    const live = new Set(this.#runs.all);
    const add = [...live].filter((one) => !this.#written.has(one) && performance.now() - one.began >= WORTH_A_CLAIM);
    // A job that runs here again keeps its claim, which is the new run's as soon as that lasts; it goes after that run.
    const again = new Set([...live].map(jobOf));
    const ended = [...this.#written].filter(([one]) => !live.has(one) && !again.has(jobOf(one)));
    if (add.length === 0 && ended.length === 0) return;
    const added = add.map((one) => [one, claimOf(one)] as const);
    const remove = ended.map(([, claim]) => claim);
    if (!(await this.#ledger.claim(incarnation, { add: added.map(([, claim]) => claim), remove }))) return;
    for (const [one] of ended) this.#written.delete(one);
    for (const [one, claim] of added) this.#written.set(one, claim);
  }

  /** A new incarnation has no claims yet. */
  forget(): void {
    this.#written = new Map();
  }
}

const jobOf = ({ run }: LiveRun): string => JSON.stringify([run.queue, run.id]);

const claimOf = ({ run, began }: LiveRun): Claim => ({
  queue: run.queue,
  id: run.id,
  run: run.run,
  ...(run.name === undefined ? {} : { name: run.name }),
  proof: run.proof,
  since: Math.round(Date.now() - (performance.now() - began)),
});
