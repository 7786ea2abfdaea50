/* What a person may do to a job. Each action compares first, says why it was refused, and is recorded with its actor. */
import type { QueueAdapter } from "./adapter.ts";
import { AssuranceError, reasonOf } from "./errors.ts";
import type { Events } from "./events.ts";
import { wrong } from "./options.ts";
import type { Store } from "./store.ts";

/** Which job, who acts, and why. */
export interface ActionRequest {
  /** Queue key, e.g. `<adapter>:payments`. */
  readonly queue: string;
  readonly id: string;
  /** Who asks: shown in the history. */
  readonly actor: string;
  readonly reason?: string | undefined;
}

type Action = "retry" | "discard" | "release";

export class Actions {
  readonly #store: Store;
  readonly #adapters: readonly QueueAdapter[];
  readonly #events: Events;

  constructor(store: Store, adapters: readonly QueueAdapter[], events: Events) {
    this.#store = store;
    this.#adapters = adapters;
    this.#events = events;
  }

  /** A failed job runs again. */
  retry(request: ActionRequest): Promise<void> {
    return this.#act("retry", request, (adapter) => adapter.retry(request.queue, request.id));
  }

  /** The job is removed from its queue for good, and from quarantine. */
  discard(request: ActionRequest): Promise<void> {
    return this.#act("discard", request, async (adapter) => {
      await adapter.discard(request.queue, request.id);
      await this.#store.ledger.unquarantine(request.queue, request.id);
    });
  }

  /** A buried job goes back to its queue with a fresh crash budget. */
  release(request: ActionRequest): Promise<void> {
    const { queue, id } = request;
    return this.#act("release", request, async (adapter) => {
      if (!(await this.#store.ledger.findQuarantined(queue, id))) {
        throw new AssuranceError(
          "ERR_ACTION_REFUSED",
          `Job ${id} of ${queue} is not in quarantine: somebody released or discarded it. Look it up again.`,
        );
      }
      await this.#store.casebook.pardon(queue, id);
      await adapter.release(queue, id);
      await this.#store.ledger.unquarantine(queue, id);
    });
  }

  async #act(action: Action, request: ActionRequest, act: (adapter: QueueAdapter) => Promise<void>): Promise<void> {
    const { queue, id, actor, reason = "" } = request;
    if (typeof actor !== "string" || actor === "") throw wrong("actor", "who acts, for the history", actor);
    const adapter = this.#adapters.find(({ queues }) => queues.includes(queue));
    if (!adapter)
      throw wrong(
        "queue",
        `a queue of this process (${this.#adapters.flatMap(({ queues }) => queues).join(", ")})`,
        queue,
      );
    let outcome = "done";
    try {
      await act(adapter);
    } catch (error) {
      outcome = `refused: ${reasonOf(error)}`;
      throw error;
    } finally {
      await this.#store.ledger.record("actions", {
        type: `action.${action}`,
        who: actor,
        queue,
        job: id,
        detail: reason,
        evidence: outcome,
      });
      this.#events.emit("action", { action, queue, id, actor, reason, outcome });
    }
  }
}
