/* What Sidekiq's Redis itself did with each job: Sidekiq keeps no record of that, so it is read from the commands that were
 * carried out. No worker is asked.
 *
 * A run begins when its proof is written into the record of runs, and is over when it is removed there. What the same script
 * wrote of it before tells how: that its proof was given away, or its job into the retries, into the dead set, back onto
 * a queue; nothing means that it is done. A proof names the process by the identity under which Sidekiq lists it; which one of the storm
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
  /** By the script that goes on, one for each end: by proof, or by job. @type {Map<string, Written[]>} */
  #written = new Map();
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
    if (!isScripted) this.#written.clear();
    if (command === "echo") return this.#marks.get(args()[0] ?? "")?.();
    if (!["hset", "hdel", "zadd", "lpush", "rpush"].includes(command)) return;
    const [key = "", ...told] = args();
    if (key.startsWith(RUNNING) && command === "hset") for (const pair of pairs(told)) this.#begin(at, ...pair);
    else if (key.startsWith(RUNNING)) for (const proof of told) this.#over(at, proof);
    else if (command === "hset" && told[0] === "info") this.#names.set(key, nameIn(told[1] ?? ""));
    else if (command === "zadd") this.#noteSet(key, told);
    else if (key.startsWith("queue:")) for (const text of told) this.#write(jobIn(text), { what: "queue", text });
  }

  /** @param {string} key @param {readonly string[]} told */
  #noteSet(key, told) {
    const isGiven = key.startsWith("assured:given:");
    for (const [, text] of pairs(told)) {
      if (key === "retry" || key === "dead") this.#write(jobIn(text), { what: key, text });
      else if (isGiven) this.#write(text, { what: "given", text });
    }
  }

  /** @param {string} of @param {Written} written */
  #write(of, written) {
    this.#written.set(of, [...(this.#written.get(of) ?? []), written]);
  }

  /** @param {number} at @param {string} proof @param {string} payload */
  #begin(at, proof, payload) {
    const [, identity = "", number] = PROOF.exec(proof) ?? [];
    const job = jobIn(payload);
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
    const written = this.#written.get(proof)?.shift() ?? this.#written.get(job)?.shift();
    if (written === undefined) this.#facts.push({ job, at, what: "completed", by: { process, run } });
    else if (written.what === "dead") this.#facts.push({ job, at, what: "failed", ...signed(written.text) });
    else this.#facts.push({ job, at, what: "returned", detail: DETAILS[written.what] });
  }
}

const DETAILS = { retry: "to be tried again", given: "given back", queue: "not for this worker" };

/** @param {readonly string[]} told @returns {Iterable<[string, string]>} */
function* pairs(told) {
  for (let at = 0; at + 1 < told.length; at += 2) yield [told[at] ?? "", told[at + 1] ?? ""];
}

/** @param {string} payload @returns {string} */
const jobIn = (payload) => JSON.parse(payload).jid;

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
