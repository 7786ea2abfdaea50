import { EventEmitter } from "node:events";
import type { Incarnation } from "./instance.ts";
import type { Death, Orphan, Outcome } from "./store.ts";
import { reasonOf } from "./errors.ts";

/** Every event of an assurance, with what its listeners get. */
export interface AssuranceEvents {
  "instance.started": { incarnation: Incarnation; name: string };
  "instance.dead": { death: Death };
  "instance.fenced": { incarnation: Incarnation };
  "instance.reborn": { incarnation: Incarnation; former: Incarnation };
  "instance.retired": { incarnation: Incarnation };
  /** Given back to its queue. `deaths` counts this one. */
  "orphan.recovered": { orphan: Orphan; deaths: number; delay: number };
  /** Had finished after all, or nobody knows it any more. A missing job is a finished job. */
  "orphan.finished": { orphan: Orphan };
  "orphan.vanished": { orphan: Orphan };
  "orphan.buried": { orphan: Orphan; deaths: number; reason: string };
  /** A step of its recovery failed. It stays an orphan and is tried again by the next pass. */
  "orphan.failed": { orphan: Orphan; error: unknown };
  /** An orphan of a queue nobody here knows: kept and shown. */
  "orphan.unknown-queue": { queue: string; incarnation: Incarnation };
  "run.fenced": { queue: string; id: string; run: number; reason: string };
  "duty.taken": { duty: string };
  "duty.lost": { duty: string };
  "store.down": { reason: string };
  "store.up": Record<string, never>;
  "presence.distrusted": { observed: number };
  action: { action: string; queue: string; id: string; actor: string; reason: string; outcome: string };
  /** Something a person should know: what is wrong and what to do. Each one is told once. */
  warning: { message: string };
  /** Background work failed and goes on. */
  error: { during: string; error: unknown };
}

export type EventName = keyof AssuranceEvents;
export type Listener<E extends EventName> = (event: AssuranceEvents[E]) => void;

export function eventOf(
  outcome: Exclude<Outcome, "buried">,
): "orphan.recovered" | "orphan.finished" | "orphan.vanished" {
  return outcome === "requeued" ? "orphan.recovered" : `orphan.${outcome}`;
}

/** Typed events. A listener that throws or rejects cannot stop a recovery, nor the process: it becomes an `error` event. */
export class Events {
  readonly #emitter = new EventEmitter().setMaxListeners(0);
  readonly #warned = new Set<string>();

  /** Returns the function that ends the subscription. */
  on<E extends EventName>(event: E, listener: Listener<E>): () => void {
    const guarded = (payload: AssuranceEvents[E]): void => {
      const failed = (error: unknown): void => {
        if (event !== "error") this.failed(`listener of ${event}`, error);
      };
      try {
        const result: unknown = listener(payload); // an async function is a listener too
        if (result instanceof Promise) result.catch(failed);
      } catch (error) {
        failed(error);
      }
    };
    this.#emitter.on(key(event), guarded);
    return () => void this.#emitter.off(key(event), guarded);
  }

  emit<E extends EventName>(event: E, payload: AssuranceEvents[E]): void {
    this.#emitter.emit(key(event), payload);
  }

  warn(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.emit("warning", { message });
    if (this.#emitter.listenerCount(key("warning")) === 0) process.emitWarning(message, "AssuredJobs");
  }

  failed(during: string, error: unknown): void {
    this.emit("error", { during, error });
    if (this.#emitter.listenerCount(key("error")) === 0) this.warn(`${during}: ${reasonOf(error)}`);
  }
}

/* Node throws when an event named "error" has no listener; ours are all prefixed and never do. */
const key = (event: EventName): string => `assured:${event}`;
