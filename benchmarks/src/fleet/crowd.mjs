/* All simulated instances, spread over a few processes so that their own event loops are no bottleneck. */
import { Child } from "../child.mjs";

const SHARES = 2;
/** A fleet of any size asks about so often for a duty, all together: see liveness.ts of core. */
const LOOKS_PER_SECOND = 20;

export class Crowd {
  /** @type {Child[]} */
  #shares;

  /** @param {{ url: string, queueKey: string, size: number }} plan */
  constructor({ url, queueKey, size }) {
    const counts = [Math.ceil(size / SHARES), Math.floor(size / SHARES)].filter((count) => count > 0);
    const looksPerSecond = LOOKS_PER_SECOND / counts.length;
    this.#shares = counts.map((count) => new Child("fleet/share.mjs", { url, queueKey, count, looksPerSecond }));
  }

  async ready() {
    await Promise.all(this.#shares.map((share) => share.next("ready")));
  }

  /** Present, registered and beating from now on. */
  async enter() {
    await this.#ask("enter");
  }

  /** How many beats were confirmed so far. */
  async beats() {
    return total(await this.#ask("beats"));
  }

  /** Makes about 10,000 claims, or as many as a small fleet can have. Resolves with their number. */
  async claim() {
    return total(await this.#ask("claim"));
  }

  /** One of them, as if its process had died. Resolves with its incarnation. */
  async vanish() {
    const [share] = this.#shares;
    if (!share) throw new Error("an empty crowd");
    return String((await request(share, "vanish")).incarnation);
  }

  async end() {
    await Promise.all(this.#shares.map((share) => share.kill()));
  }

  /** @param {string} order */
  #ask(order) {
    return Promise.all(this.#shares.map((share) => request(share, order)));
  }
}

/** @param {Child} share @param {string} order */
function request(share, order) {
  const answer = share.next(order);
  share.send({ type: order });
  return answer;
}

/** @param {readonly import("../child.mjs").Message[]} answers */
const total = (answers) => answers.reduce((sum, { count }) => sum + Number(count), 0);
