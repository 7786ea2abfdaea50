/* A queue in a few Redis keys, and its worker: what somebody might have written in a day. It knows nothing of assurance, but
 * each move of it compares where the job is, and that is all that an adapter needs. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

/** @typedef {{ id: string, data: unknown, run: number, proof: string }} Job */

const FETCH = `-- KEYS state, waiting, due, jobs, run  ARGV holder, now
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[2])) do
    redis.call('ZREM', KEYS[3], id) redis.call('RPUSH', KEYS[2], id) redis.call('HSET', KEYS[1], id, 'waiting')
  end
  local id = redis.call('LPOP', KEYS[2])
  if not id then return false end
  local run = redis.call('INCR', KEYS[5])
  redis.call('HSET', KEYS[1], id, 'held:' .. ARGV[1] .. ':' .. run)
  return {id, redis.call('HGET', KEYS[4], id), run}`;

const MOVE = `-- KEYS state, waiting, due, jobs, run  ARGV id, to, due, from...
  local state = redis.call('HGET', KEYS[1], ARGV[1]) or 'missing'
  local allowed = false
  for at = 4, #ARGV do allowed = allowed or state == ARGV[at] end
  if not allowed then return state end
  redis.call('LREM', KEYS[2], 0, ARGV[1]) redis.call('ZREM', KEYS[3], ARGV[1])
  if ARGV[2] == 'gone' then redis.call('HDEL', KEYS[1], ARGV[1]) redis.call('HDEL', KEYS[4], ARGV[1]) return 'moved' end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  if ARGV[2] == 'waiting' then redis.call('LPUSH', KEYS[2], ARGV[1]) end
  if ARGV[2] == 'delayed' then redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1]) end
  return 'moved'`;

export class ListQueue {
  /** @param {import("ioredis").Redis} redis @param {string} name */
  constructor(redis, name) {
    this.redis = redis;
    this.name = name;
    this.keys = ["state", "waiting", "due", "jobs", "run"].map((part) => `list:${name}:${part}`);
  }

  /** @param {unknown} data @param {{ id?: string, delay?: number }} [options] */
  async add(data, { id = randomUUID(), delay = 0 } = {}) {
    const [state, waiting, due, jobs] = /** @type {[string, string, string, string]} */ (this.keys);
    const adding = this.redis
      .multi()
      .hset(jobs, id, JSON.stringify(data))
      .hset(state, id, delay ? "delayed" : "waiting");
    await (delay ? adding.zadd(due, Date.now() + delay, id) : adding.rpush(waiting, id)).exec();
    return id;
  }

  /** @param {string} holder @returns {Promise<Job | undefined>} */
  async fetch(holder) {
    const found = /** @type {[string, string, number] | null} */ (
      await this.redis.eval(FETCH, 5, ...this.keys, holder, Date.now())
    );
    if (found === null) return undefined;
    const [id, json, run] = found;
    return { id, data: JSON.parse(json), run, proof: `held:${holder}:${run}` };
  }

  /** Moves a job if it is in one of these states: "moved", or the state that it is in instead.
   * @param {string} id @param {readonly string[]} from @param {string} to @param {number} [delay] */
  async move(id, from, to, delay = 0) {
    return String(await this.redis.eval(MOVE, 5, ...this.keys, id, to, Date.now() + delay, ...from));
  }

  /** @returns {Promise<Record<string, string>>} id -> waiting, delayed, held:holder:run, finished, failed or buried */
  states() {
    return this.redis.hgetall(String(this.keys[0]));
  }
}

export class ListWorker {
  holder = randomUUID();
  paused = false;
  stopped = false;
  /** The fetch that is on its way. @type {Promise<Job | undefined> | undefined} */
  fetching;

  /** @param {ListQueue} queue @param {(job: Job) => Promise<unknown>} handler */
  constructor(queue, handler) {
    this.queue = queue;
    this.handler = handler;
  }

  async start() {
    for (; !this.stopped; await sleep(5)) {
      if (this.paused) continue;
      this.fetching = this.queue.fetch(this.holder);
      const job = await this.fetching;
      if (job) await this.run(job);
    }
  }

  /** @param {Job} job */
  async run(job) {
    const outcome = await this.handler(job).then(
      () => "finished",
      () => "failed",
    );
    return this.end(job, outcome);
  }

  /** @param {Job} job @param {string} outcome */
  async end(job, outcome) {
    return this.queue.move(job.id, [job.proof], outcome);
  }
}
