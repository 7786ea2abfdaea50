/* Jobs into Redis: each queue's jobs in one script, those for later in one command, so that a job is there whole or not
 * at all. Nothing is sent twice on doubt, for a second copy would be a second run. */
import { setTimeout as sleep } from "node:timers/promises";
import { AssuranceError } from "@assured-jobs/core";
import type { Connection } from "../connection.ts";
import type { Keys } from "../keys.ts";
import { push } from "../scripts/push.ts";
import type { Encoded } from "./encode.ts";

/** The server refused before it wrote anything, and another one may take it: Ruby's client asks once more, too. */
const NOTHING_WRITTEN = /\b(?:READONLY|NOREPLICAS)\b/;
/** ms */
const BREATH = 200;

export class JobStore {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** In their order: the first one is the next of its queue. Rejects with ERR_QUEUE_UNREACHABLE when nobody answers. */
  async add(jobs: readonly Encoded[]): Promise<void> {
    const queues = new Map<string, string[]>();
    const schedule: string[] = [];
    for (const { queue, text, score } of jobs) {
      if (score !== undefined) schedule.push(score, text);
      else if (!queues.get(queue)?.push(text)) queues.set(queue, [text]);
    }
    for (const [queue, texts] of queues) await this.#once(() => this.#enqueue(queue, texts));
    if (schedule.length > 0) await this.#once(() => this.#connection.call("ZADD", this.#keys.schedule, ...schedule));
  }

  #enqueue(queue: string, texts: readonly string[]): Promise<unknown> {
    return this.#connection.run(push, [this.#keys.queues, this.#keys.queue(queue).waiting, queue, ...texts]);
  }

  async #once(send: () => Promise<unknown>): Promise<void> {
    try {
      await send().catch(async (error: unknown) => {
        if (!(error instanceof Error) || !NOTHING_WRITTEN.test(error.message)) throw error;
        await sleep(BREATH); // the connection to a replica is being replaced
        await send();
      });
    } catch (error) {
      throw error instanceof AssuranceError && error.code === "ERR_QUEUE_UNREACHABLE" ? unknownFate(error) : error;
    }
  }
}

const unknownFate = (cause: AssuranceError): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNREACHABLE",
    `Sidekiq's Redis did not answer, so whether the job arrived is not known. Push it again only if it may run twice. ${cause.message}`,
    { cause },
  );
