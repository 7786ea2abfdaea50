/* The producer: keeps the queue busy, and keeps the books of what became of each job. */
import { Queue, QueueEvents } from "bullmq";

/** Jobs that are waiting or running at any time: fewer than workers, so that a killed job never waits for a free one. */
const IN_FLIGHT = 2;
const TAKES = 1_500;

export class Emails {
  /** @type {Map<string, number>} how often the completion of each job was accepted */
  #completions = new Map();
  /** @type {Set<string>} */
  #open = new Set();
  #producing = false;
  /** @type {Promise<void>} */
  #adding = Promise.resolve();
  #queue;
  #events;

  /** @param {{ url: string, prefix: string }} where */
  constructor({ url, prefix }) {
    const connection = { url };
    this.#queue = new Queue("emails", { connection, prefix });
    this.#events = new QueueEvents("emails", { connection, prefix, lastEventId: "0-0" });
    const ignore = () => {}; // Redis goes away at the end
    this.#queue.on("error", ignore);
    this.#events.on("error", ignore);
    this.#events.on("completed", ({ jobId }) => this.#completed(jobId));
  }

  get added() {
    return this.#completions.size;
  }

  /** Jobs whose completion BullMQ accepted more than once. */
  get duplicates() {
    return [...this.#completions.values()].filter((times) => times > 1).length;
  }

  /** Jobs that were added and have not completed. */
  get open() {
    return this.#open.size;
  }

  async start() {
    await this.#events.waitUntilReady();
    this.#producing = true;
    for (let n = 0; n < IN_FLIGHT; n++) await this.#add();
  }

  async stop() {
    this.#producing = false;
    await this.#adding;
  }

  /** @param {string} id */
  isOpen(id) {
    return this.#open.has(id);
  }

  async close() {
    await Promise.all([this.#queue.close(), this.#events.close()]);
  }

  async #add() {
    const job = await this.#queue.add("welcome", { takes: TAKES });
    const id = String(job.id);
    if (this.#completions.has(id)) return; // its completion was faster than this reply
    this.#completions.set(id, 0);
    this.#open.add(id);
  }

  /** @param {string} id */
  #completed(id) {
    this.#completions.set(id, (this.#completions.get(id) ?? 0) + 1);
    this.#open.delete(id);
    if (this.#producing) this.#adding = this.#adding.then(() => this.#add()).catch(() => {});
  }
}
