/* A real Sidekiq server: the gem's own program, with the jobs of this package as its application. */
import { join } from "node:path";
import { Child } from "./child.mjs";
import { APP, BOOT, LEASH, environment, settings } from "./environment.mjs";
import { ensureRuby } from "./install.mjs";

const START_TIMEOUT = 60_000;
const GRACE = 5_000;
const READY = /^dev-ruby ready: (.+)$/; // app.rb prints it once the process is registered

export async function startSidekiq(set, { queues = ["default"], concurrency = 2, timeout = 5, ...options }) {
  const { dir, gems } = await ensureRuby(set);
  const program = join(dir, "gems", `sidekiq-${gems.sidekiq}`, "bin", "sidekiq");
  const args = ["-r", APP, "-c", String(concurrency), "-t", String(timeout), ...queues.flatMap((name) => ["-q", name])];
  const env = environment({ gems: dir, more: settings(options) });
  const sidekiq = new Child(["-r", BOOT, "-r", LEASH, program, ...args], env);
  return new Worker(sidekiq, { identity: await registered(sidekiq), patience: timeout * 1000 + GRACE });
}

class Worker {
  #process;
  #patience;

  constructor(process, { identity, patience }) {
    this.#process = process;
    this.#patience = patience;
    this.identity = identity;
  }

  get pid() {
    return this.#process.pid;
  }

  get exited() {
    return this.#process.exited;
  }

  log() {
    return this.#process.log;
  }

  async kill(signal = "SIGKILL") {
    await this.#process.kill(signal);
  }

  async stop() {
    this.#process.signal("SIGTERM");
    return this.#process.ending(this.#patience);
  }
}

function registered(sidekiq) {
  return new Promise((resolve, reject) => {
    const fail = (why) => {
      sidekiq.signal("SIGKILL");
      reject(new Error(`Sidekiq did not start: ${why}\n${sidekiq.log.slice(-4000)}`));
    };
    const impatience = setTimeout(() => fail(`not ready in ${START_TIMEOUT} ms`), START_TIMEOUT);
    sidekiq.onLine((line) => {
      sidekiq.note(`${line}\n`);
      const identity = READY.exec(line)?.[1];
      if (!identity) return;
      clearTimeout(impatience);
      resolve(identity);
    });
    void sidekiq.exited.then(({ code, signal, error }) => {
      clearTimeout(impatience);
      fail(error?.message ?? `it ended with ${code ?? signal}`);
    });
  });
}
