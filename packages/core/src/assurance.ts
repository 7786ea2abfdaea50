/* The public face: what a program can ask of its assurance. local-assurance.ts wires the parts behind it. */
import type { ActionRequest } from "./actions.ts";
import type { AuditOptions, AuditReport } from "./audit.ts";
import { deriveStore } from "./derive-store.ts";
import type { EventName, Listener } from "./events.ts";
import type { StopReport } from "./handover.ts";
import type { HealthReport } from "./health.ts";
import type { Incarnation } from "./instance.ts";
import { LocalAssurance } from "./local-assurance.ts";
import type { Phase } from "./membership.ts";
import { readAdapters, readPlugins, readSettings, readStore } from "./options.ts";
import type { AssuranceOptions } from "./options.ts";
import type { RecoveryReport } from "./recovery.ts";
import type { Snapshot } from "./snapshot.ts";

/** Who this process is at the moment. */
export interface InstanceInfo {
  readonly name: string;
  readonly role: "worker" | "observer";
  /** Changes when the process is fenced and born again. */
  readonly incarnation: Incarnation;
  readonly phase: Phase;
}

export interface StartOptions {
  /** True: reject when the store cannot be reached. Default false: go on degraded, with an event, and retry. */
  readonly required?: boolean | undefined;
}

export interface Assurance extends AsyncDisposable {
  /**
   * Begins to assure. Without the store the jobs run all the same, under their queue's own rules, until it is back.
   * @throws AssuranceError when the store is the wrong one (version, permission, foreign data), or with `required`.
   */
  start(options?: StartOptions): Promise<void>;
  /**
   * Leaves: fetching pauses, running jobs may end for `timeout` ms (default stopTimeout), the rest goes back to its
   * queue, uncharged. Safe before and after the queue's own close(). Idempotent. Exit soon after it.
   */
  stop(options?: { readonly timeout?: number }): Promise<StopReport>;
  readonly instance: InstanceInfo;
  /** One deep pass over the queues of this process, now. */
  recover(): Promise<RecoveryReport>;
  /** Everything that does not add up; repairs only when asked to. */
  audit(options?: AuditOptions): Promise<AuditReport>;
  readonly snapshot: Snapshot;
  retry(request: ActionRequest): Promise<void>;
  discard(request: ActionRequest): Promise<void>;
  release(request: ActionRequest): Promise<void>;
  /** Returns the function that ends the subscription. */
  on<E extends EventName>(event: E, listener: Listener<E>): () => void;
  health(): Promise<HealthReport>;
}

/**
 * Jobs of dead processes go back to their queue: at least once, never lost.
 * @throws AssuranceError ERR_OPTION for nonsense, ERR_STORE_MISSING when no store is given and none can be derived.
 */
export function createAssurance(options: AssuranceOptions): Assurance {
  const settings = readSettings(options);
  const adapters = readAdapters(options.adapters, settings.role);
  const plugins = readPlugins(options.plugins);
  const store = readStore(options.store) ?? deriveStore(adapters, options.namespace);
  return new LocalAssurance(settings, adapters, store, plugins);
}
