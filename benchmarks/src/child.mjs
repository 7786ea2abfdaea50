/* Child processes: the programs that are measured, and killed. Each is started anew, takes its task as an argument and
 * sends what it has to say. None of them outlives this process. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** @typedef {Record<string, unknown> & { type: string }} Message */

/** @type {Set<import("node:child_process").ChildProcess>} */
const living = new Set();

export class Child {
  #process;
  /** @type {Set<(message: Message) => void>} */
  #listeners = new Set();
  /** @type {Promise<never>} */
  #ended;

  /**
   * @param {string} program path from this folder
   * @param {object} task
   */
  constructor(program, task) {
    const child = fork(fileURLToPath(new URL(program, import.meta.url)), [JSON.stringify(task)], {
      stdio: ["ignore", "ignore", "inherit", "ipc"], // what goes wrong in there must be seen
    });
    living.add(child);
    child.once("exit", () => living.delete(child));
    child.on("message", (message) => {
      for (const listener of this.#listeners) listener(/** @type {Message} */ (message));
    });
    this.#process = child;
    this.#ended = once(child, "exit").then(([code, signal]) => {
      throw new Error(`${program} ended too early (${signal ?? code})`);
    });
    this.#ended.catch(() => {});
  }

  /** @param {(message: Message) => void} listener */
  hear(listener) {
    this.#listeners.add(listener);
  }

  /**
   * The next message of this type. Rejects when the process ends before.
   * @param {string} type
   * @returns {Promise<Message>}
   */
  next(type) {
    /** @type {Promise<Message>} */
    const told = new Promise((resolve) => {
      /** @param {Message} message */
      const listener = (message) => {
        if (message.type !== type) return;
        this.#listeners.delete(listener);
        resolve(message);
      };
      this.#listeners.add(listener);
    });
    return Promise.race([told, this.#ended]);
  }

  /** @param {Message} message */
  send(message) {
    this.#process.send(message);
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await gone;
  }
}

export function killAll() {
  for (const child of living) child.kill("SIGKILL");
}
