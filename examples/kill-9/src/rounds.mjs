/* The story: workers work, one after the other is killed in mid-job, and the clock runs until its job runs again. */
import { setTimeout as sleep } from "node:timers/promises";
import { Crew } from "./crew.mjs";
import { Emails } from "./emails.mjs";

/**
 * @typedef {import("./crew.mjs").Member} Member
 * @typedef {{ id: string, at: number, rerunMs: number | undefined }} Kill
 * @typedef {{ kills: Kill[], added: number, lost: number, duplicates: number }} Result
 * @typedef {{ queue: import("./queue.d.mts").QueueModule, program: string, kills: number, patience: number }} Plan
 */

const WORKERS = ["worker-1", "worker-2", "worker-3"];
/** How long a job has run when its process is killed, ms: in the middle of its 1,500. */
const MID_JOB = { from: 300, to: 1_000 };
const START_PATIENCE = 20_000;
const AFTERMATH = 100;

export class Rounds {
  /** @type {Kill[]} */
  #kills = [];
  #ended = false;
  #crew;
  #emails;
  #timeline;
  #plan;

  /**
   * @param {Plan} plan
   * @param {{ url: string, prefix: string }} where
   * @param {import("./timeline.mjs").Timeline} timeline
   */
  constructor(plan, where, timeline) {
    this.#plan = plan;
    this.#timeline = timeline;
    this.#emails = new Emails(plan.queue, where);
    this.#crew = new Crew(plan.program, where, (member, report) => this.#hear(member, report));
  }

  /** @returns {Promise<Result>} */
  async play() {
    for (const name of WORKERS) this.#crew.start(name);
    await this.#until(() => this.#crew.members.every(({ up }) => up), START_PATIENCE, "the workers did not start");
    await this.#emails.start();
    for (let n = 0; n < 2 * this.#plan.kills && this.#kills.length < this.#plan.kills; n++) await this.#round();
    await this.#emails.stop();
    await this.#until(() => this.#emails.open === 0, this.#plan.patience).catch(() => {}); // the verdict tells
    const { added, open, duplicates } = this.#emails;
    return { kills: this.#kills, added, lost: open, duplicates };
  }

  /** Ends every process and connection of it. */
  async end() {
    this.#ended = true;
    await this.#crew.end();
    await this.#emails.close().catch(() => {});
  }

  async #round() {
    const victim = await this.#victim();
    /** @type {Kill} */
    const kill = { id: String(victim.job), at: performance.now(), rerunMs: undefined };
    this.#crew.kill(victim);
    this.#kills.push(kill);
    this.#timeline.say();
    this.#timeline.add(victim.name, "KILLED", `SIGKILL in the middle of job ${kill.id}`);
    const decided = () => kill.rerunMs !== undefined || !this.#emails.isOpen(kill.id);
    await this.#until(decided, this.#plan.patience).catch(() => {}); // the verdict tells
    if (this.#ended) throw new Error("ended");
    if (kill.rerunMs === undefined) this.#missed(kill);
    await sleep(AFTERMATH); // for the lines that belong to this death
    this.#crew.start(victim.name);
    await this.#until(() => this.#crew.members.every(({ up }) => up), START_PATIENCE, `${victim.name} did not start`);
  }

  /* A job that had just ended when its process was killed has nothing to run again for. */
  #missed(/** @type {Kill} */ kill) {
    const ended = !this.#emails.isOpen(kill.id);
    if (ended) this.#kills.splice(this.#kills.indexOf(kill), 1);
    this.#timeline.add(
      "",
      "trouble",
      `job ${kill.id} ${ended ? "had just ended: this kill does not count" : "did not run again"}`,
    );
  }

  /* A job dies once here: from its second death on it is a suspect, and comes back delayed on purpose. */
  async #victim() {
    const middle = MID_JOB.from + Math.random() * (MID_JOB.to - MID_JOB.from);
    const spared = new Set(this.#kills.map(({ id }) => id));
    const candidate = () =>
      this.#crew.members.find(
        ({ up, job, since }) =>
          up && job !== undefined && !spared.has(job) && this.#emails.isOpen(job) && performance.now() - since > middle,
      );
    await this.#until(() => candidate() !== undefined, START_PATIENCE, "no worker has a job");
    return /** @type {Member} */ (candidate());
  }

  /**
   * @param {Member} member
   * @param {import("./report.mjs").Report} report
   */
  #hear({ name, child }, report) {
    if (report.type === "ready") this.#timeline.add(name, "started", `process ${child.pid}`);
    else if (report.type === "completed") this.#emails.completed(report.id);
    else if (report.type === "dead") this.#timeline.add(name, "noticed", `${report.name} is dead: ${report.evidence}`);
    else if (report.type === "recovered") this.#timeline.add(name, "requeued", `job ${report.id}`);
    else if (report.type === "trouble") this.#timeline.add(name, "trouble", report.text);
    else this.#noteRerun(name, report.id);
  }

  /**
   * @param {string} name
   * @param {string} id
   */
  #noteRerun(name, id) {
    const kill = this.#kills.find((one) => one.id === id);
    if (!kill || kill.rerunMs !== undefined) return;
    kill.rerunMs = performance.now() - kill.at;
    this.#timeline.add(name, "ran again", `job ${id}, ${(kill.rerunMs / 1_000).toFixed(2)} s after the SIGKILL`);
  }

  /**
   * @param {() => boolean} condition
   * @param {number} patience
   * @param {string} [otherwise]
   */
  async #until(condition, patience, otherwise = "it took too long") {
    const deadline = performance.now() + patience;
    while (!condition()) {
      if (this.#ended) throw new Error("ended");
      if (performance.now() > deadline) throw new Error(otherwise);
      await sleep(5);
    }
  }
}
