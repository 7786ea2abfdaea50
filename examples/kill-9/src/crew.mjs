/* The worker processes: real ones, so that a real SIGKILL can hit them. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/**
 * @typedef {import("./report.mjs").Report} Report
 * @typedef {{ name: string, child: import("node:child_process").ChildProcess, up: boolean, job: string | undefined, since: number }} Member
 */

export class Crew {
  /** @type {Map<string, Member>} */
  #members = new Map();
  #file;
  #env;
  #hear;

  /**
   * @param {string} program
   * @param {{ url: string, prefix: string }} where
   * @param {(member: Member, report: Report) => void} hear
   */
  constructor(program, { url, prefix }, hear) {
    this.#file = fileURLToPath(new URL(program, import.meta.url));
    this.#env = { ...process.env, REDIS_URL: url, QUEUE_PREFIX: prefix, ASSURED_JOBS_NS: prefix };
    this.#hear = hear;
  }

  /** @returns {Member[]} */
  get members() {
    return [...this.#members.values()];
  }

  /**
   * @param {string} name
   * @returns {Member}
   */
  start(name) {
    const child = fork(this.#file, [], {
      env: { ...this.#env, ASSURED_JOBS_INSTANCE_ID: name },
      stdio: ["ignore", "ignore", "inherit", "ipc"], // what goes wrong in a worker must be seen
    });
    /** @type {Member} */
    const member = { name, child, up: false, job: undefined, since: 0 };
    this.#members.set(name, member);
    child.on("message", (report) => this.#note(member, /** @type {Report} */ (report)));
    child.on("error", () => {}); // "exit" tells
    return member;
  }

  /** @param {Member} member */
  kill(member) {
    member.up = false;
    member.child.kill("SIGKILL");
  }

  /** Resolves when none of them is left. */
  async end() {
    await Promise.all(
      this.members.map(async ({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = once(child, "exit");
        child.kill("SIGKILL");
        await gone;
      }),
    );
  }

  /**
   * @param {Member} member
   * @param {Report} report
   */
  #note(member, report) {
    if (report.type === "ready") member.up = true;
    if (report.type === "runs") {
      member.job = report.id;
      member.since = performance.now();
    }
    this.#hear(member, report);
  }
}
