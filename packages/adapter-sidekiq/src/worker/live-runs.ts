/* The runs that go on in this process, from their fetch until their end was answered.
 *
 * A process that fetches its own recovered job again would run it beside its former self, so the second run of a jid is
 * held back until the first has returned.
 */
import type { Run } from "@assured-jobs/core";
import type { Fetched } from "./fetch-calls.ts";

/** A timer of Node that is set for longer than this, ms, fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export interface LiveRun {
  readonly run: Run;
  readonly fetched: Fetched;
  readonly work: Promise<unknown>;
  /** ms since 1970 */
  readonly since: number;
  /** Its end was sent. */
  isEnding: boolean;
}

export class LiveRuns {
  readonly #byProof = new Map<string, LiveRun>();
  readonly #byId = new Map<string, LiveRun>();
  /** Fetched, and waiting for their turn to begin. */
  readonly #arrived = new Set<readonly Fetched[]>();
  #idle: (() => void)[] = [];

  get size(): number {
    return this.#byProof.size;
  }

  get all(): Iterable<LiveRun> {
    return this.#byProof.values();
  }

  /** What this process holds by its own knowledge, begun or not. */
  get proofs(): ReadonlySet<string> {
    const arrived = [...this.#arrived].flatMap((jobs) => jobs.map(({ proof }) => proof));
    return new Set([...arrived, ...this.#byProof.keys()]);
  }

  /** The newest run of a job. */
  of(id: string): LiveRun | undefined {
    return this.#byId.get(id);
  }

  /** They were fetched, and will begin in a moment. */
  arrived(jobs: readonly Fetched[]): void {
    this.#arrived.add(jobs);
  }

  /** All of them have begun. */
  begun(jobs: readonly Fetched[]): void {
    this.#arrived.delete(jobs);
  }

  /** On the list until `work` has ended; then `after` is called, with the error if there was one. */
  during(
    run: Run,
    fetched: Fetched,
    work: Promise<void>,
    after: (failure?: { readonly error: unknown }) => void,
  ): void {
    const live: LiveRun = { run, fetched, work, since: Date.now(), isEnding: false };
    this.#byProof.set(run.proof, live);
    this.#byId.set(run.id, live);
    const end = (failure?: { readonly error: unknown }): void => {
      this.#end(live);
      after(failure);
    };
    work.then(
      () => end(),
      (error: unknown) => end({ error }),
    );
  }

  #end(live: LiveRun): void {
    const { proof, id } = live.run;
    this.#byProof.delete(proof);
    if (this.#byId.get(id) === live) this.#byId.delete(id);
    if (this.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  ending({ proof }: Run): void {
    const live = this.#byProof.get(proof);
    if (live) live.isEnding = true;
  }

  /** True once no run is left; false when that takes longer than `ms`. */
  async idle(ms: number): Promise<boolean> {
    if (this.size === 0) return true;
    let timer: NodeJS.Timeout | undefined;
    const idle = new Promise<true>((resolve) => this.#idle.push(() => resolve(true)));
    if (ms > LONGEST_TIMER) return idle;
    const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
    return Promise.race([idle, late]).finally(() => clearTimeout(timer));
  }
}
