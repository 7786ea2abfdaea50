/* The producer: keeps the queue busy, and keeps the books of what became of each job. */

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
  #producer;

  /**
   * @param {import("./queue.d.mts").QueueModule} queue
   * @param {{ url: string, prefix: string }} where
   */
  constructor(queue, where) {
    this.#producer = queue.open(where, (id) => this.completed(id));
  }

  get added() {
    return this.#completions.size;
  }

  /** Jobs whose completion the queue accepted more than once. */
  get duplicates() {
    return [...this.#completions.values()].filter((times) => times > 1).length;
  }

  /** Jobs that were added and have not completed. */
  get open() {
    return this.#open.size;
  }

  async start() {
    await this.#producer.ready();
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
    await this.#producer.close();
  }

  /** By the queue itself, or by the worker where the queue tells nobody. @param {string} id */
  completed(id) {
    this.#completions.set(id, (this.#completions.get(id) ?? 0) + 1);
    this.#open.delete(id);
    if (this.#producing) this.#adding = this.#adding.then(() => this.#add()).catch(() => {});
  }

  async #add() {
    const id = await this.#producer.add(TAKES);
    if (this.#completions.has(id)) return; // its completion was faster than this reply
    this.#completions.set(id, 0);
    this.#open.add(id);
  }
}
