/* What Sidekiq's Redis itself did with each job: Sidekiq keeps no record of that, so it is read from the commands that were
 * carried out. No worker is asked.
 *
 * A run begins when its proof is written into the record of runs, and is over when it is removed there. What its script
 * wrote just before tells how: into the retries, into the dead set, that it was given away, back onto a queue; nothing
 * means that it is done. A proof names the process by the identity under which Sidekiq lists it; which one of the storm
 * that is stands in what the process said about itself there. */
import { watch } from "./monitor.mjs";

/** @typedef {import("../history.d.mts").Fact} Fact */
/** @typedef {import("./monitor.mjs").Carried} Carried */
/** @typedef {{ job: string, process: string, run: number, isOver: boolean }} Run */
/** @typedef {{ what: "retry" | "dead" | "given" | "queue", text: string }} Written */

const RUNNING = "assured:running:";
const PROOF = /^(.+)#\d+:(\d+)$/;

export class SidekiqRecord {
  /** @type {Fact[]} */
  #facts = [];
  /** @type {Map<string, Run>} */
  #runs = new Map();
  /** Names of processes by identity. @type {Map<string, string>} */
  #names = new Map();
  /** @type {Map<string, () => void>} */
  #marks = new Map();
  /** By the same script, since the last run left the record. @type {Written[]} */
  #written = [];
  /** @type {string | undefined} */
  #broken;
  /** @type {{ close: () => void } | undefined} */
  #watch;
  #serial = 0;
  #redis;
  #port;

  /** @param {import("ioredis").Redis} redis @param {number} port */
  constructor(redis, port) {
    this.#redis = redis;
    this.#port = port;
  }

  async open() {
    const broken = () => (this.#broken = "the connection that watches the server was closed");
    this.#watch = await watch(this.#port, { carried: (one) => this.#note(one), broken });
  }

  /** Everything since the last call, up to this moment. */
  async read() {
    const mark = `storm-mark-${++this.#serial}`;
    const seen = new Promise((resolve) => this.#marks.set(mark, () => resolve(undefined)));
    await this.#redis.echo(mark);
    if (this.#broken === undefined) await seen;
    if (this.#broken !== undefined) throw new Error(`the record has a hole: ${this.#broken}`);
    return this.#facts.splice(0);
  }

  close() {
    this.#watch?.close();
  }

  /** @param {Carried} one */
  #note({ at, isScripted, command, args }) {
    if (!isScripted) this.#written = [];
    if (command === "echo") return this.#marks.get(args()[0] ?? "")?.();
    if (!["hset", "hdel", "zadd", "lpush", "rpush"].includes(command)) return;
    const [key = "", field = "", value = ""] = args();
    if (key.startsWith(RUNNING)) this.#noteRun(at, command, [field, value]);
    else if (command === "hset" && field === "info") this.#names.set(key, nameIn(value));
    else if (command === "zadd") this.#noteSet(key, value);
    else if (key.startsWith("queue:")) this.#written.push({ what: "queue", text: field });
  }

  /** @param {string} key @param {string} value */
  #noteSet(key, value) {
    if (key === "retry" || key === "dead") this.#written.push({ what: key, text: value });
    else if (key.startsWith("assured:given:")) this.#written.push({ what: "given", text: value });
  }

  /** @param {number} at @param {string} command @param {readonly [string, string]} field */
  #noteRun(at, command, [proof, payload]) {
    if (command === "hset") this.#begin(at, proof, payload);
    else this.#over(at, proof);
    this.#written = [];
  }

  /** @param {number} at @param {string} proof @param {string} payload */
  #begin(at, proof, payload) {
    const [, identity = "", number] = PROOF.exec(proof) ?? [];
    const { jid: job } = JSON.parse(payload);
    const run = Number(number);
    this.#runs.set(proof, { job, run, process: this.#names.get(identity) ?? identity, isOver: false });
    this.#facts.push({ job, at, what: "active", run });
  }

  /** @param {number} at @param {string} proof */
  #over(at, proof) {
    const found = this.#runs.get(proof);
    if (found === undefined || found.isOver) return;
    found.isOver = true;
    const { job, process, run } = found;
    const written = this.#written.at(-1);
    if (written === undefined) this.#facts.push({ job, at, what: "completed", by: { process, run } });
    else if (written.what === "dead") this.#facts.push({ job, at, what: "failed", ...signed(written.text) });
    else this.#facts.push({ job, at, what: "returned", detail: DETAILS[written.what] });
  }
}

const DETAILS = { retry: "to be tried again", given: "given back", queue: "not for this worker" };

/** @param {string} info */
const nameIn = (info) => String(JSON.parse(info).tag ?? "");

/* Who signed a failure: in the message of its error. A reason that is not ours stays readable. */
function signed(/** @type {string} */ text) {
  const message = JSON.parse(text).error_message;
  try {
    const { process, run } = JSON.parse(message);
    return { by: { process, run } };
  } catch {
    return { detail: String(message) };
  }
}
