/* The two worker processes, and what their handlers say. */
import { Child } from "../child.mjs";

export class Crew {
  #queue;
  #where;
  /** @type {Map<Child, string>} */
  #members = new Map();
  /** @type {((run: { member: Child, id: string }) => void)[]} */
  #waiting = [];

  /**
   * @param {string} queue
   * @param {import("../queues/contract.d.ts").Where} where
   */
  constructor(queue, where) {
    this.#queue = queue;
    this.#where = where;
  }

  async ready() {
    await Promise.all([this.#start("worker-1"), this.#start("worker-2")]);
  }

  /**
   * The next run that a member tells about.
   * @returns {Promise<{ member: Child, id: string }>}
   */
  runs() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** All other jobs are backlog from now on; undefined: none is. @param {string | undefined} id */
  watch(id) {
    for (const member of this.#members.keys()) member.send({ type: "watch", id });
  }

  /** @param {Child} dead */
  async replace(dead) {
    const name = this.#members.get(dead) ?? "";
    this.#members.delete(dead);
    await this.#start(name);
  }

  async end() {
    await Promise.all([...this.#members.keys()].map((member) => member.kill()));
  }

  /** @param {string} name */
  async #start(name) {
    const member = new Child("detection/worker.mjs", { queue: this.#queue, where: this.#where, name });
    this.#members.set(member, name);
    member.hear(({ type, id }) => {
      if (type === "runs") for (const tell of this.#waiting.splice(0)) tell({ member, id: String(id) });
    });
    await member.next("ready");
  }
}
