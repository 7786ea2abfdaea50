/* BullMQ, as the storm drives it. The stream of events that BullMQ's scripts write in the same step as each move is
 * the record of what was accepted; it is read before it could be trimmed, and cut behind what was read. */
import { bullmqAdapter } from "@assured-jobs/adapter-bullmq";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

/** @typedef {import("./contract.d.mts").Place} Place */
/** @typedef {import("../history.d.mts").Fact} Fact */
/** @typedef {import("../history.d.mts").Plan} Plan */

/** Never reached: what was read is cut away. */
const MAX_EVENTS = 50_000_000;
const PAGE = 5_000;
/** Longer than any recovery here may take, as BullMQ's 30 s are: what has no lock any more comes under BullMQ's own
 * rule, which nobody answers for. Bare: BullMQ's own times. */
const QUICK = { lockDuration: 15_000, stalledInterval: 15_000 };
const UNFINISHED = /** @type {const} */ (["active", "waiting", "delayed", "prioritized", "waiting-children"]);

/** Several queues, as in life: the duty is per queue, and a suspect of one holds up no other. */
const LANES = 3;

/** @type {import("./contract.d.mts").QueueModule["openQueue"]} */
export async function openQueue({ url, queue: name }) {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  const lanes = await Promise.all(lanesOf(name).map((lane) => openLane(url, lane)));
  const records = lanes.map((lane) => new EventRecord(redis, `${lane.qualifiedName}:events`));
  return {
    adapter: bullmqAdapter({ queues: lanes }),
    async add(plans) {
      const shares = lanes.map((lane, n) => lane.addBulk(plans.filter(({ id }) => laneOf(id) === n).map(jobOf)));
      await Promise.all(shares);
    },
    facts: async () => (await Promise.all(records.map((record) => record.read()))).flat(),
    leftovers: async () => total(await Promise.all(lanes.map((lane) => leftovers(lane, redis)))),
    async close() {
      await Promise.all(lanes.map((lane) => lane.close()));
      redis.disconnect();
    },
  };
}

/** @type {import("./contract.d.mts").QueueModule["openWorker"]} */
export function openWorker({ url, queue, bare, concurrency, handle, accepted, trouble }) {
  const connection = { url, maxRetriesPerRequest: null };
  const each = { connection, concurrency: Math.ceil(concurrency / LANES), autorun: false, ...(bare ? {} : QUICK) };
  /** @type {import("bullmq").Processor} */
  const processor = ({ id, attemptsStarted, attemptsMade, data }) =>
    handle({ job: String(id), run: attemptsStarted, attempt: attemptsMade, task: data });
  const workers = lanesOf(queue).map((lane) => new Worker(lane, processor, each));
  for (const worker of workers) {
    worker.on("completed", (job) => accepted(String(job.id), job.attemptsStarted));
    worker.on("failed", (job) => job && accepted(String(job.id), job.attemptsStarted));
    worker.on("error", (error) => trouble(`worker: ${error.message}`));
  }
  return {
    adapter: bullmqAdapter({ workers }),
    async start() {
      await Promise.all(workers.map((worker) => worker.waitUntilReady()));
      for (const worker of workers) void worker.run();
    },
    close: async () => void (await Promise.all(workers.map((worker) => worker.close()))),
  };
}

const lanesOf = (/** @type {string} */ name) => Array.from({ length: LANES }, (_, n) => `${name}-${n}`);

/* Any id has its lane; those that the storm makes spread evenly. */
const laneOf = (/** @type {string} */ id) => id.charCodeAt(id.length - 1) % LANES;

/** @param {string} url @param {string} name */
async function openLane(url, name) {
  const lane = new Queue(name, { connection: { url }, streams: { events: { maxLen: MAX_EVENTS } } });
  lane.on("error", () => {});
  await lane.waitUntilReady();
  return lane;
}

/** @param {Plan} plan */
function jobOf({ id, data, options }) {
  const { attempts, backoff, delay, priority, removeWhenCompleted } = options;
  const rest = backoff > 0 ? { backoff: { type: "fixed", delay: backoff } } : {};
  return {
    name: data.task,
    data,
    opts: { jobId: id, attempts, delay, priority, removeOnComplete: removeWhenCompleted, ...rest },
  };
}

class EventRecord {
  #last = "-";
  /** @type {Set<string>} */
  #active = new Set();
  /** Jobs that came under BullMQ's own rule. @type {Set<string>} */
  #stalled = new Set();
  #redis;
  #key;

  /** @param {Redis} redis @param {string} key */
  constructor(redis, key) {
    this.#redis = redis;
    this.#key = key;
  }

  async read() {
    /** @type {Fact[]} */
    const facts = [];
    for (;;) {
      const entries = await this.#redis.xrange(this.#key, this.#last, "+", "COUNT", PAGE);
      for (const [id, fields] of entries) {
        const fact = this.#factOf(id, fields);
        if (fact !== undefined) facts.push(fact);
        this.#last = `(${id}`;
      }
      if (entries.length > 0) await this.#redis.xtrim(this.#key, "MINID", String(entries.at(-1)?.[0]));
      if (entries.length < PAGE) return facts;
    }
  }

  /**
   * @param {string} id
   * @param {string[]} fields
   * @returns {Fact | undefined}
   */
  #factOf(id, fields) {
    const field = (/** @type {string} */ name) => fields[fields.indexOf(name) + 1] ?? "";
    const [event, job] = [field("event"), field("jobId")];
    const fact = { job, at: Number(id.split("-")[0]) };
    const held = this.#active.has(job);
    if (event === "active") this.#active.add(job);
    if (event === "stalled") this.#stalled.add(job);
    if (event === "added" || event === "active") return { ...fact, what: event };
    if (event === "completed" || event === "failed") {
      this.#active.delete(job);
      return { ...fact, what: event, ...signed(field(event === "completed" ? "returnvalue" : "failedReason")) };
    }
    const returned = (event === "waiting" && field("prev") === "active") || (event === "delayed" && held);
    if (!returned) return undefined;
    this.#active.delete(job);
    const stalled = this.#stalled.delete(job);
    return { ...fact, what: "returned", detail: stalled ? "by BullMQ's own rule" : event };
  }
}

/* Who signed an end. A reason that is not ours (a stall limit) stays readable. */
function signed(/** @type {string} */ text) {
  try {
    const { process, run } = JSON.parse(text);
    return { by: { process, run } };
  } catch {
    return { detail: text };
  }
}

/** @param {Queue} queue @param {Redis} redis */
async function leftovers(queue, redis) {
  const counts = await queue.getJobCounts(...UNFINISHED, "completed", "failed");
  const locks = [];
  for await (const keys of redis.scanStream({ match: `${queue.qualifiedName}:*:lock`, count: 1_000 }))
    locks.push(...keys);
  return {
    unfinished: Object.fromEntries(UNFINISHED.map((state) => [state, counts[state] ?? 0])),
    kept: (counts["completed"] ?? 0) + (counts["failed"] ?? 0),
    locks,
  };
}

/** @typedef {Awaited<ReturnType<typeof leftovers>>} Left */

/** @param {readonly Left[]} all */
const total = (all) => ({
  unfinished: Object.fromEntries(
    UNFINISHED.map((state) => [state, all.reduce((sum, { unfinished }) => sum + (unfinished[state] ?? 0), 0)]),
  ),
  kept: all.reduce((sum, { kept }) => sum + kept, 0),
  locks: all.flatMap(({ locks }) => locks),
});
