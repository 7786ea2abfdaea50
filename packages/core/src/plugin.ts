import type { Orphan, Outcome } from "./store.ts";

/** An orphan on its way back, as plugins see it. */
export interface PluginOrphan extends Orphan {
  /** Charged deaths inside the window, this one included. */
  readonly deaths: number;
}

/**
 * A plugin takes part in each recovery. Both hooks must be idempotent: after a crash of the recoverer they are called
 * again for the same orphan and run. A hook that rejects leaves the orphan where it is, for the next pass.
 */
export interface Plugin {
  readonly name: string;
  /** Before the job goes back. */
  beforeRequeue?(orphan: PluginOrphan): Promise<void>;
  /** After the queue has answered and before the case is closed; `finished` and `vanished` included. */
  beforeSettle?(orphan: PluginOrphan, outcome: Outcome): Promise<void>;
}
