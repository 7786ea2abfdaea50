/* The composition root: which parts there are, and in which order they start and stop.
 *
 * Start: the hooks into the queues (so that no run is missed; handlers wait), store, registration, then looks and passes.
 * Stop: passes and looks first (we recover for nobody any more), then the handover with beats still going on, then the
 * retirement, then the hooks and the store.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Assurance, InstanceInfo, StartOptions } from "./assurance.ts";
import type { AdapterHost, QueueAdapter, RunControl } from "./adapter.ts";
import { Actions } from "./actions.ts";
import type { ActionRequest } from "./actions.ts";
import { Auditor } from "./audit.ts";
import type { AuditOptions, AuditReport } from "./audit.ts";
import { Claims } from "./claims.ts";
import { AssuranceError, isPassing, reasonOf } from "./errors.ts";
import { Events } from "./events.ts";
import type { EventName, Listener } from "./events.ts";
import { Gate } from "./gate.ts";
import { handOver, quieten } from "./handover.ts";
import type { StopReport } from "./handover.ts";
import { healthOf } from "./health.ts";
import type { HealthReport } from "./health.ts";
import type { Incarnation } from "./instance.ts";
import type { CountRecoveries } from "./live-run.ts";
import { Liveness } from "./liveness.ts";
import { Loop } from "./loop.ts";
import { Membership } from "./membership.ts";
import type { Settings } from "./options.ts";
import { within } from "./patience.ts";
import type { Plugin } from "./plugin.ts";
import { Recoverer } from "./recoverer.ts";
import { Recovery } from "./recovery.ts";
import type { RecoveryReport } from "./recovery.ts";
import { Runs } from "./runs.ts";
import { stopOnSignals } from "./signals.ts";
import { Snapshot } from "./snapshot.ts";
import type { Store } from "./store.ts";

const RETRY = 1_000;
const CLAIM_INTERVAL = 500;
/** A step of leaving that needs the store waits no longer for it, ms. */
const STEP_PATIENCE = 2_000;

export class LocalAssurance implements Assurance {
  readonly snapshot: Snapshot;
  readonly #settings: Settings;
  readonly #adapters: readonly QueueAdapter[];
  readonly #store: Store;
  readonly #events = new Events();
  readonly #runs: Runs;
  readonly #membership: Membership;
  readonly #liveness: Liveness;
  readonly #recovery: Recovery;
  readonly #auditor: Auditor;
  readonly #actions: Actions;
  readonly #claiming: Loop;
  /** Opens once the store knows this process, or cannot be asked. */
  readonly #admitted = new Gate();
  #started: Promise<void> | undefined;
  #stopped: Promise<StopReport> | undefined;
  #ignoreSignals: (() => void) | undefined;

  constructor(settings: Settings, adapters: readonly QueueAdapter[], store: Store, plugins: readonly Plugin[]) {
    const events = this.#events;
    const self = (): Incarnation => this.#membership.incarnation;
    this.#settings = settings;
    this.#adapters = adapters;
    this.#store = store;
    this.#runs = new Runs({ known: settings.currentJob, countRecoveries: this.#countRecoveries });
    const claims = new Claims(this.#runs, store.ledger);
    this.#membership = new Membership({
      store,
      settings,
      events,
      adapters,
      runs: this.#runs,
      claims,
      onNudge: () => this.#liveness.wake(),
    });
    this.#liveness = new Liveness({
      store,
      settings,
      events,
      self,
      wanted: () => this.#recovery.wanted(),
      onNews: () => this.#recovery.wake(),
    });
    this.#auditor = new Auditor(store, this.#liveness, adapters);
    const recoverer = new Recoverer({ store, plugins, settings, events, self });
    this.#recovery = new Recovery({
      store,
      settings,
      events,
      adapters,
      recoverer,
      liveness: this.#liveness,
      auditor: this.#auditor,
    });
    this.#actions = new Actions(store, adapters, events);
    this.#claiming = new Loop(() => this.#writeClaims(claims));
    this.snapshot = new Snapshot(store, () => adapters.flatMap(({ queues }) => queues));
  }

  get instance(): InstanceInfo {
    const { name, role } = this.#settings;
    return { name, role, incarnation: this.#membership.incarnation, phase: this.#membership.phase };
  }

  start(options: StartOptions = {}): Promise<void> {
    if (this.#stopped)
      return Promise.reject(new AssuranceError("ERR_STATE", "start() after stop(): create a new assurance instead."));
    this.#started ??= this.#start(options.required ?? false);
    return this.#started;
  }

  stop(options: { readonly timeout?: number } = {}): Promise<StopReport> {
    this.#stopped ??= this.#stop(options.timeout ?? this.#settings.stopTimeout);
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  recover(): Promise<RecoveryReport> {
    return this.#recovery.recoverAll();
  }

  audit(options: AuditOptions = {}): Promise<AuditReport> {
    return this.#auditor.audit({ repair: options.repair });
  }

  retry(request: ActionRequest): Promise<void> {
    return this.#actions.retry(request);
  }

  discard(request: ActionRequest): Promise<void> {
    return this.#actions.discard(request);
  }

  release(request: ActionRequest): Promise<void> {
    return this.#actions.release(request);
  }

  on<E extends EventName>(event: E, listener: Listener<E>): () => void {
    return this.#events.on(event, listener);
  }

  async health(): Promise<HealthReport> {
    if (this.#settings.role === "observer") await this.#askStore();
    return healthOf(this.instance, this.#membership, this.#liveness, this.#settings);
  }

  /* Hooked in before anything else, so that a handler that was fetched meanwhile waits until its process is known. */
  async #start(required: boolean): Promise<void> {
    if (this.#settings.role === "observer") return void (await this.#open(required));
    try {
      await Promise.all(this.#adapters.map((adapter) => adapter.attach(this.#hostFor())));
      await this.#membership.join(await this.#open(required), required);
    } catch (error) {
      await Promise.all(this.#adapters.map((adapter) => adapter.detach()));
      throw error;
    } finally {
      this.#admitted.open();
    }
    this.#liveness.start();
    this.#recovery.start();
    this.#claiming.start();
    if (this.#settings.signals) this.#ignoreSignals = stopOnSignals(() => this.stop());
  }

  /* An observer has no pulse that would know. */
  async #askStore(): Promise<void> {
    await this.#store.ledger.counts().then(
      () => this.#membership.noteStore(true),
      (error: unknown) => this.#membership.noteStore(false, reasonOf(error)),
    );
  }

  /* A store that is down is no reason not to work; a wrong one is. */
  async #open(required: boolean): Promise<boolean> {
    try {
      const { warnings } = await this.#store.open();
      for (const warning of warnings) this.#events.warn(warning);
      this.#membership.noteStore(true);
      return true;
    } catch (error) {
      if (required || !isPassing(error)) throw error;
      this.#membership.noteStore(false, reasonOf(error));
      void this.#reopen();
      return false;
    }
  }

  async #reopen(): Promise<void> {
    while (!this.#stopped) {
      await delay(RETRY, undefined, { ref: false });
      try {
        const { warnings } = await this.#store.open();
        for (const warning of warnings) this.#events.warn(warning);
        if (this.#settings.role === "observer") this.#membership.noteStore(true);
        return;
      } catch (error) {
        if (!isPassing(error)) return this.#events.failed("opening the store", error);
      }
    }
  }

  readonly #countRecoveries: CountRecoveries = (queue, id) =>
    this.#store.casebook.deaths(queue, id, this.#settings.recoveryWindow);

  /* A run from its fetch on: a process that is fenced while it registers must not forget those that wait at the gate. */
  #onceAdmitted<T>(execute: (control: RunControl) => Promise<T>): (control: RunControl) => Promise<T> {
    return async (control) => {
      await this.#admitted.opened;
      return execute(control);
    };
  }

  #hostFor(): AdapterHost {
    return {
      joined: this.#admitted.opened,
      run: (run, execute) => this.#runs.execute(run, this.#admitted.isOpen ? execute : this.#onceAdmitted(execute)),
      lost: (run, reason) => {
        this.#events.emit("run.fenced", { queue: run.queue, id: run.id, run: run.run, reason });
        this.#runs.giveUp(
          run,
          new AssuranceError(
            "ERR_FENCED",
            `Run ${run.run} of job ${run.id} was given away (${reason}): what it writes is refused.`,
          ),
        );
      },
      changed: async () => {
        await this.#membership.changed();
        this.#liveness.wake();
      },
      warn: (message) => this.#events.warn(message),
    };
  }

  async #writeClaims(claims: Claims): Promise<number> {
    try {
      if (this.#membership.phase === "member") await claims.sync(this.#membership.incarnation);
    } catch {
      // The pulse tells about the store; the next sync makes up for this one.
    }
    return CLAIM_INTERVAL;
  }

  async #stop(timeout: number): Promise<StopReport> {
    await this.#started?.catch(() => {});
    this.#ignoreSignals?.();
    const report =
      this.#membership.phase === "new" ? { finished: 0, handedOver: 0, left: 0 } : await this.#leave(timeout);
    for (const adapter of this.#adapters) await this.#quietly("detaching", () => adapter.detach());
    await this.#store.close();
    return report;
  }

  async #leave(timeout: number): Promise<StopReport> {
    const before = this.#runs.size;
    await Promise.all([
      this.#quietly("ending passes", () => this.#recovery.stop()),
      this.#quietly("ending claims", () => this.#claiming.stop()),
      this.#quietly("giving duties up", () => this.#liveness.stop().then(() => this.#liveness.yieldDuties())),
      this.#quietly("retiring", () => this.#membership.leave()),
    ]);
    const { ledger } = this.#store;
    const parts = { adapters: this.#adapters, runs: this.#runs, events: this.#events, ledger, before };
    const wasQuiet = await quieten(this.#adapters);
    const report = await handOver(parts, this.#membership.incarnation, timeout);
    const isQuiet = await quieten(this.#adapters, !wasQuiet); // a run that ended may have brought another one
    await this.#quietly("retiring", () => this.#membership.end(isQuiet && report.left === 0));
    return report;
  }

  /* Leaving goes on whatever fails, or does not end: the others will find what is left. */
  async #quietly(during: string, step: () => Promise<unknown>): Promise<void> {
    try {
      await within(STEP_PATIENCE, step());
    } catch (error) {
      this.#events.failed(during, error);
    }
  }
}
