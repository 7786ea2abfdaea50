/* The Ruby side of a test: one long-lived process that answers a line of JSON with a line of JSON (console.rb). */
import { Child } from "./child.mjs";
import { BOOT, CONSOLE, environment, settings } from "./environment.mjs";
import { ensureRuby } from "./install.mjs";

const GRACE = 5_000;

export async function startRuby(set, options) {
  const { dir } = await ensureRuby(set);
  const env = environment({ gems: dir, more: settings(options) });
  const ruby = new Console(new Child(["-r", BOOT, CONSOLE], env));
  await ruby.call("ping");
  return ruby;
}

class Console {
  #process;
  #waiting = new Map();
  #calls = 0;

  constructor(process) {
    this.#process = process;
    process.onLine((line) => this.#answer(JSON.parse(line)));
    void process.exited.then(({ error }) => this.#abandon(error));
  }

  get pid() {
    return this.#process.pid;
  }

  log() {
    return this.#process.log;
  }

  call(method, ...args) {
    if (!this.#process.running) return Promise.reject(this.#ended());
    return new Promise((resolve, reject) => {
      const id = ++this.#calls;
      this.#waiting.set(id, { resolve, reject });
      this.#process.stdin.write(`${JSON.stringify({ id, method, args })}\n`);
    });
  }

  async close() {
    this.#process.stdin.end();
    await this.#process.ending(GRACE);
  }

  #answer({ id, result, error }) {
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) reject(new RubyError(error));
    else resolve(result);
  }

  #abandon(cause) {
    for (const { reject } of this.#waiting.values()) reject(this.#ended(cause));
    this.#waiting.clear();
  }

  #ended(cause) {
    return new Error(`The Ruby process has ended\n${cause?.message ?? this.#process.log.slice(-4000)}`, { cause });
  }
}

/* What a method raised. */
class RubyError extends Error {
  constructor({ type, message, backtrace }) {
    super(`${type}: ${message}`);
    this.name = "RubyError";
    this.type = type;
    this.backtrace = backtrace;
  }
}
