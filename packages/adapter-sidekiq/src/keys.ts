/* The only place where a key is spelled. Sidekiq's own stand in its source (client.rb, fetch.rb, launcher.rb, web); ours
 * begin with `assured:`. None has a hash tag: Sidekiq itself cannot run on a Redis Cluster. */

interface QueueKeys {
  /** LIST: payloads; the right end is the next one. */
  readonly waiting: string;
  /** HASH: proof of a run -> payload. A job is here from its fetch until its end. */
  readonly running: string;
  /** ZSET: payloads that were given back with a delay, by the time they are due, ms of the server. */
  readonly parked: string;
  /** ZSET: proofs of runs that were given away, by time, ms: how a late end, or a recoverer, knows. */
  readonly given: string;
}

export interface Keys {
  readonly prefix: string;
  /** SET: names of queues. */
  readonly queues: string;
  /** SET: names of queues from which nothing is to be fetched (Sidekiq Pro). */
  readonly paused: string;
  readonly schedule: string;
  readonly retry: string;
  readonly dead: string;
  /** SET: identities of processes. */
  readonly processes: string;
  /** STRING: the number of the last run. It only grows, also when the server lost its data. */
  readonly run: string;
  /** ZSET: holders whose jobs were given away, by time, ms: they fetch nothing any more. */
  readonly graves: string;
  readonly processed: string;
  readonly failed: string;
  queue(name: string): QueueKeys;
  /** HASH: what a process says about itself. */
  process(identity: string): string;
  /** HASH: tid -> the job it works on. Named `workers` up to Sidekiq 6.4.1. */
  work(identity: string): string;
  workers(identity: string): string;
  /** LIST: TSTP, TERM, TTIN from the Web. */
  signals(identity: string): string;
}

/** `prefix` as redis-namespace writes it: `shop:`, or empty. */
export function keysWith(prefix: string): Keys {
  const key = (name: string): string => `${prefix}${name}`;
  return {
    prefix,
    queues: key("queues"),
    paused: key("paused"),
    schedule: key("schedule"),
    retry: key("retry"),
    dead: key("dead"),
    processes: key("processes"),
    run: key("assured:run"),
    graves: key("assured:graves"),
    processed: key("stat:processed"),
    failed: key("stat:failed"),
    queue: (name) => ({
      waiting: key(`queue:${name}`),
      running: key(`assured:running:${name}`),
      parked: key(`assured:parked:${name}`),
      given: key(`assured:given:${name}`),
    }),
    process: key,
    work: (identity) => key(`${identity}:work`),
    workers: (identity) => key(`${identity}:workers`),
    signals: (identity) => key(`${identity}-signals`),
  };
}

/** Key of a queue for core: `sidekiq:default`. */
export const queueKey = (prefix: string, name: string): string => `sidekiq:${prefix}${name}`;
