/* Adds the jobs: in step with the storm, so that neither ends before the other, and always enough of them that a kill
 * meets work. */
import { Jobs } from "./jobs.mjs";

/** @typedef {import("./history.d.mts").Plan} Plan */

const BATCH = 250;
/** Jobs per process that shall wait or run at any time. */
const BACKLOG = 4;

export class Feeder {
  /** @type {Map<string, Plan>} */
  plans = new Map();
  #supply;
  #options;

  /** @param {{ seed: number, jobs: number, processes: number, queue: import("./queues/contract.d.mts").StormQueue }} options */
  constructor(options) {
    this.#options = options;
    this.#supply = new Jobs(options.seed);
  }

  /**
   * @param {number} progress of the storm, 0 to 1
   * @param {number} ended how many jobs have ended
   */
  async feed(progress, ended) {
    const { jobs, processes } = this.#options;
    const due = Math.floor(jobs * Math.min(1, progress)) - this.plans.size;
    const thin = progress < 1 ? processes * BACKLOG - (this.plans.size - ended) : 0;
    for (let missing = Math.max(due, thin); missing > 0; missing -= BATCH) await this.#add(Math.min(missing, BATCH));
  }

  async #add(/** @type {number} */ count) {
    const plans = Array.from({ length: count }, () => this.#supply.next());
    await this.#options.queue.add(plans);
    for (const plan of plans) this.plans.set(plan.id, plan);
  }
}
