/* One Ruby process, which does not outlive us.
 *
 * It is not detached, so Ctrl-C reaches it as well; the hook below ends it when we exit; and however we die, the kernel
 * closes the pipe that it reads as standard input, which ends it too (console.rb, leash.rb). The hook is for a process
 * that a test has frozen: that one reads nothing.
 */
import { spawn } from "node:child_process";
import { RUBY } from "./environment.mjs";

const ENDING = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGABRT", "SIGSEGV"]);
const KEPT = 1_000_000;
const running = new Set();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Child {
  #child;
  #log = "";

  constructor(args, env) {
    // UTF-8 whatever the locale of the machine says
    this.#child = spawn(RUBY, ["-E", "UTF-8", ...args], { env, stdio: "pipe" });
    running.add(this.#child);
    this.exited = new Promise((resolve) => {
      this.#child.once("error", (error) => this.#gone(resolve, { code: null, signal: null, error }));
      this.#child.once("close", (code, signal) => this.#gone(resolve, { code, signal }));
    });
    this.#child.stdin.on("error", () => {}); // it died: `exited` says so
    this.#child.stderr.setEncoding("utf8").on("data", (text) => this.note(text));
    this.#child.stdout.setEncoding("utf8");
  }

  get pid() {
    return this.#child.pid;
  }

  get stdin() {
    return this.#child.stdin;
  }

  get running() {
    return running.has(this.#child);
  }

  /** The end of what it printed. */
  get log() {
    return this.#log;
  }

  /* By hand, since readline may also split at separators that JSON leaves as they are. */
  onLine(listener) {
    let rest = "";
    this.#child.stdout.on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) listener(line);
    });
  }

  note(text) {
    this.#log = (this.#log + text).slice(-KEPT);
  }

  signal(name) {
    if (this.running) this.#child.kill(name);
  }

  /** Resolves once the process is gone, for signals that end it. */
  async kill(name) {
    this.signal(name);
    if (ENDING.has(name)) await this.exited;
  }

  /** Gives it `grace` ms after it was asked to end. */
  async ending(grace) {
    this.signal("SIGCONT"); // a frozen process must wake up to end
    const impatience = setTimeout(() => this.signal("SIGKILL"), grace);
    const end = await this.exited;
    clearTimeout(impatience);
    return end;
  }

  #gone(resolve, end) {
    running.delete(this.#child);
    resolve(end);
  }
}
