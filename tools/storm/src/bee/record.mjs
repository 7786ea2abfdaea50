/* What Bee's store itself did with each job, read from MONITOR on the private server: every command in the order in which it
 * was carried out, those of scripts included. No worker is asked. Bee keeps no such record of its own.
 *
 * A run begins when its owner is written (HSETNX that succeeded, which is known by what its script does next; HSET of a
 * claim). It ends with the event that the finish publishes in its script, or comes back when its owner is removed by a
 * script that then puts the id on a list of those that wait. */

/** @typedef {import("../history.d.mts").Fact} Fact */
/** @typedef {import("ioredis").Redis} Redis */

const ENDS = /** @type {const} */ ({ succeeded: "completed", failed: "failed" });

export class MonitorRecord {
  /** @type {Fact[]} */
  #facts = [];
  /** @type {Map<string, Lane>} */
  #lanes = new Map();
  /** @type {Map<string, () => void>} */
  #marks = new Map();
  /** @type {string | undefined} */
  #broken;
  #redis;
  /** @type {Redis | undefined} */
  #monitor;
  #serial = 0;

  /** @param {Redis} redis @param {readonly string[]} lanes prefixes of the keys of each queue */
  constructor(redis, lanes) {
    this.#redis = redis;
    for (const lane of lanes) this.#lanes.set(lane, new Lane(lane, (fact) => this.#facts.push(fact)));
  }

  async open() {
    const monitor = await this.#redis.monitor();
    this.#monitor = monitor;
    monitor.on("monitor", (/** @type {string} */ time, /** @type {string[]} */ args) => this.#note(Number(time), args));
    monitor.on("close", () => (this.#broken = "the connection that watches the server was closed"));
  }

  /** Everything since the last call, up to this moment. */
  async read() {
    const mark = `storm-mark-${++this.#serial}`;
    const seen = new Promise((resolve) => this.#marks.set(mark, () => resolve(undefined)));
    await this.#redis.echo(mark);
    await seen;
    if (this.#broken !== undefined) throw new Error(`the record has a hole: ${this.#broken}`);
    return this.#facts.splice(0);
  }

  close() {
    this.#monitor?.removeAllListeners("close");
    this.#monitor?.disconnect();
  }

  /** @param {number} time @param {string[]} args */
  #note(time, [command = "", key = "", ...rest]) {
    if (command.toLowerCase() === "echo") return this.#marks.get(key)?.();
    const end = key.lastIndexOf("assured:");
    const at = end < 0 ? key.lastIndexOf(":") + 1 : end;
    this.#lanes.get(key.slice(0, at))?.note(Math.round(time * 1_000), command.toLowerCase(), [key.slice(at), ...rest]);
  }
}

/* One queue. A script's commands stand one after the other, so what follows tells what it was. */
class Lane {
  /** The id whose owner was offered. @type {{ id: string, proof: string } | undefined} */
  #offered;
  /** The id whose owner was removed. @type {string | undefined} */
  #freed;
  /** Ids that a run holds. @type {Set<string>} */
  #held = new Set();
  #say;

  /** @param {string} name @param {(fact: Fact) => void} say */
  constructor(name, say) {
    this.name = name;
    this.#say = say;
  }

  /** @param {number} at @param {string} command @param {readonly string[]} args */
  note(at, command, [key = "", first = "", second = ""]) {
    switch (`${command} ${key}`) {
      case "hsetnx assured:owner":
        this.#offered = { id: first, proof: second };
        break;
      case "srem stalling":
        if (this.#offered?.id === first) this.#begin(at, this.#offered);
        break;
      case "hset assured:owner":
        this.#begin(at, { id: first, proof: second });
        break;
      case "hdel assured:owner":
        this.#freed = this.#held.delete(first) ? first : undefined;
        break;
      case "zadd assured:parked":
        this.#offered = undefined;
        this.#back(at, second, "parked");
        break;
      case "rpush waiting":
        this.#back(at, first, "waiting");
        break;
      case "publish events":
        this.#end(at, JSON.parse(first.replaceAll("\\\\", "\\"))); // as MONITOR quotes it, and ioredis half unquotes
        break;
      default:
    }
  }

  /** @param {number} at @param {{ id: string, proof: string }} offered */
  #begin(at, { id, proof }) {
    this.#offered = undefined;
    this.#held.add(id);
    this.#say({ job: id, at, what: "active", run: Number(proof.split(":")[2]) });
  }

  /* What is raised when it is due, or skipped because a run holds it, has not come back. */
  /** @param {number} at @param {string} id @param {string} detail */
  #back(at, id, detail) {
    if (this.#freed !== id) return;
    this.#freed = undefined;
    this.#say({ job: id, at, what: "returned", detail });
  }

  /** @param {number} at @param {{ id: string, event: string, data: unknown }} event */
  #end(at, { id, event, data }) {
    if (event === "retrying") this.#say({ job: id, at, what: "returned", detail: "to be tried again" });
    else if (event === "succeeded" || event === "failed")
      this.#say({ job: id, at, what: ENDS[event], ...signed(data) });
    this.#freed = undefined;
  }
}

/* Who signed an end: in a result, or in the message of an error. A reason that is not ours stays readable. */
function signed(/** @type {unknown} */ data) {
  try {
    const { process, run } = typeof data === "string" ? JSON.parse(data) : data;
    return { by: { process, run } };
  } catch {
    return { detail: String(data) };
  }
}
