/* A job as a handler gets it: read from the payload when asked for, never written back. */
import type { RunControl } from "@assured-jobs/core";
import { activeJobClass } from "../active-job/read.ts";
import type { Payload } from "../wire/payload.ts";
import { readTimestamp } from "../wire/timestamps.ts";

/** One run of a job. Integers beyond 2^53 in `args` are bigints, as Ruby means them. */
export interface SidekiqJob {
  readonly jid: string;
  /** The class that is dispatched on: ActiveJob's own one when it is wrapped. */
  readonly class: string;
  readonly queue: string;
  readonly args: readonly unknown[];
  /** How often it failed before: 0 in the first run. */
  readonly attempt: number;
  /** When it was pushed first. */
  readonly createdAt: Date | undefined;
  /** Number of this run: it only grows over all jobs, so a store of yours can refuse an older one. */
  readonly fencingToken: number;
  /** Aborted when the run was given away or must be handed over. */
  readonly signal: AbortSignal;
  /** The job as it stands in Redis, byte for byte. */
  readonly payload: Payload;
}

export class RunningJob implements SidekiqJob {
  readonly payload: Payload;
  readonly queue: string;
  readonly fencingToken: number;
  readonly #control: RunControl;
  #args: readonly unknown[] | undefined;

  constructor(payload: Payload, { queue, run }: { queue: string; run: number }, control: RunControl) {
    this.payload = payload;
    this.queue = queue;
    this.fencingToken = run;
    this.#control = control;
  }

  get jid(): string {
    return this.payload.string("jid") ?? "";
  }

  get class(): string {
    return classOf(this.payload) ?? "";
  }

  get args(): readonly unknown[] {
    this.#args ??= this.payload.exact("args") as readonly unknown[];
    return this.#args;
  }

  get attempt(): number {
    const count = this.payload.number("retry_count");
    return count === undefined ? 0 : count + 1;
  }

  get createdAt(): Date | undefined {
    const at = readTimestamp(this.payload.get("created_at"));
    return at === undefined ? undefined : new Date(at);
  }

  get signal(): AbortSignal {
    return this.#control.signal;
  }
}

/** What a job is dispatched on. */
export function classOf(payload: Payload): string | undefined {
  return payload.string("wrapped") ?? activeJobClass(payload) ?? payload.string("class");
}
