/* What conductor and worker processes say to each other. */
import type { AssuranceOptions } from "@assured-jobs/core";

/** Given to a worker process when it starts. */
export interface Orders {
  /** The queue's module, as a URL. */
  readonly module: string;
  readonly url: string;
  readonly queue: string;
  readonly bare: boolean;
  readonly process: string;
  readonly name: string;
  readonly diary: string;
  readonly concurrency: number;
  readonly settings: AssuranceOptions;
}

/** How a process shall leave: `assurance.stop()` or the worker's `close()` first, or by SIGTERM. */
export type Exit = "stopFirst" | "closeFirst" | "signal";

export interface Leave {
  readonly type: "leave";
  readonly how: Exclude<Exit, "signal">;
  /** ms that running jobs get. */
  readonly timeout: number;
}

export type Told =
  | { readonly type: "ready"; readonly incarnation: string | undefined }
  /** How many handlers run. */
  | { readonly type: "load"; readonly held: number }
  | { readonly type: "fenced" }
  | { readonly type: "reborn"; readonly incarnation: string }
  | { readonly type: "trouble"; readonly text: string };
