/* Sidekiq's queues, as the storm drives them: three of them with weights, one worker per process for all. */
import { sidekiqAdapter, SidekiqWorker } from "@assured-jobs/adapter-sidekiq";
import { Redis } from "ioredis";
import { SidekiqRecord } from "../sidekiq/record.mjs";

/** @typedef {import("../history.d.mts").Plan} Plan */
/** @typedef {import("@assured-jobs/adapter-sidekiq").SidekiqJob} SidekiqJob */

const CLASS = "StormJob";
const LANES = /** @type {const} */ ({ a: 3, b: 2, c: 1 });
/** ms */
const POLL = 100;

/** @type {import("./contract.d.mts").QueueModule["openQueue"]} */
export async function openQueue({ url, queue, bare }) {
  if (bare)
    throw new Error("Without assurance Sidekiq has no record of who ran what: there is nothing to compare with.");
  const redis = new Redis(url);
  const record = new SidekiqRecord(redis, Number(new URL(url).port));
  await record.open();
  return {
    adapter: sidekiqAdapter({ redis: url, queues: lanesOf(queue) }),
    add: (plans) => push(redis, queue, plans),
    facts: () => record.read(),
    leftovers: () => leftovers(redis, queue),
    async close() {
      record.close();
      redis.disconnect();
    },
  };
}

/** @type {import("./contract.d.mts").QueueModule["openWorker"]} */
export function openWorker({ url, queue, process, concurrency, handle, accepted, trouble }) {
  const perform = (/** @type {SidekiqJob} */ { jid: job, fencingToken: run, attempt, args }) =>
    handle({ job, run, attempt, task: taskOf(args) });
  // To this comes Sidekiq's jitter, up to 9 s: a retry must not come at the same moment as the others of its process.
  const retryIn = (/** @type {number} */ _, /** @type {unknown} */ __, /** @type {SidekiqJob} */ { args }) =>
    Math.max(0.05, Number(Reflect.get(Object(args[0]), "backoff")) / 1_000);
  const worker = new SidekiqWorker({
    redis: url,
    queues: Object.fromEntries(Object.entries(LANES).map(([lane, weight]) => [`${queue}-${lane}`, weight])),
    handlers: { [CLASS]: { perform, retryIn } },
    pollInterval: POLL,
    tag: process,
    concurrency,
  });
  worker.on("completed", ({ jid, fencingToken }) => accepted(jid, fencingToken));
  worker.on("failed", ({ jid, fencingToken }) => accepted(jid, fencingToken));
  worker.on("error", (error) => trouble(`worker: ${String(error)}`));
  worker.on("warning", (message) => trouble(message));
  return {
    adapter: sidekiqAdapter({ redis: url, worker }),
    start: () => worker.start(),
    close: () => worker.stop(),
  };
}

const lanesOf = (/** @type {string} */ queue) => Object.keys(LANES).map((lane) => `${queue}-${lane}`);

/* Any id has its lane; those that the storm makes spread evenly. */
function laneOf(/** @type {string} */ queue, /** @type {string} */ id) {
  const lanes = lanesOf(queue);
  return String(lanes[id.charCodeAt(id.length - 1) % lanes.length]);
}

/** @param {readonly unknown[]} args */
const taskOf = ([data]) => /** @type {import("../history.d.mts").Task} */ (data);

/* As Ruby pushes: what is due now goes to its queue, what is not into the schedule; what is urgent is put in front. */
/** @param {Redis} redis @param {string} queue @param {readonly Plan[]} plans */
async function push(redis, queue, plans) {
  const pipeline = redis.multi();
  for (const { id, data, options } of plans) {
    const name = laneOf(queue, id);
    const now = Date.now() / 1_000;
    const args = [{ ...data, backoff: options.backoff }];
    const job = { retry: options.attempts - 1, queue: name, class: CLASS, args, jid: id, created_at: now };
    pipeline.sadd("queues", name);
    if (options.delay > 0) pipeline.zadd("schedule", now + options.delay / 1_000, JSON.stringify(job));
    else
      pipeline[options.priority > 0 ? "rpush" : "lpush"](`queue:${name}`, JSON.stringify({ ...job, enqueued_at: now }));
  }
  for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
}

/** @param {Redis} redis @param {string} queue */
async function leftovers(redis, queue) {
  const lanes = lanesOf(queue);
  const sum = async (/** @type {(lane: string) => Promise<number>} */ count) =>
    (await Promise.all(lanes.map(count))).reduce((total, one) => total + one, 0);
  return {
    unfinished: {
      waiting: await sum((lane) => redis.llen(`queue:${lane}`)),
      running: await sum((lane) => redis.hlen(`assured:running:${lane}`)),
      parked: await sum((lane) => redis.zcard(`assured:parked:${lane}`)),
      scheduled: await redis.zcard("schedule"),
      retried: await redis.zcard("retry"),
    },
    kept: await redis.zcard("dead"),
    forgetsCompleted: true,
    locks: await worked(redis),
  };
}

/* What Sidekiq's own books say that a listed process works on. */
/** @param {Redis} redis */
async function worked(redis) {
  const identities = await redis.smembers("processes");
  const lists = identities.flatMap((identity) => [`${identity}:work`, `${identity}:workers`]);
  const fields = await Promise.all(lists.map(async (list) => (await redis.hkeys(list)).map((tid) => `${list} ${tid}`)));
  return fields.flat();
}
