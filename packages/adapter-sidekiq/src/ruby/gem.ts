/* Ruby processes that run the gem sidekiq-assured-jobs, watched and recovered by the gem's own keys.
 *
 * The gem takes its records away before it pushes the jobs again; here a script compares the payload, pushes and then
 * takes away. So nothing is lost when we die, and a pass of the gem at the same time does no harm: one of the two finds
 * the payload. Its own lock is taken meanwhile, with a token of ours, so that it begins no pass of its own.
 */
import { createHash, randomBytes } from "node:crypto";
import type { DeadHolder, Guest, Orphan } from "@assured-jobs/core";
import type { Connection } from "../connection.ts";
import { queueKey } from "../keys.ts";
import type { Keys } from "../keys.ts";
import type { Move } from "../requeue.ts";
import { gemLife, gemLock, moveGem } from "../scripts/ruby.ts";
import { Payload } from "../wire/payload.ts";
import { readTimestamp } from "../wire/timestamps.ts";
import { classOf } from "../worker/job.ts";
import { jidsAtWork } from "./books.ts";
import { packed, remembered, unpacked } from "./source.ts";
import type { Placing, RubySource } from "./source.ts";

const KIND = "gem";
const LOOK_EVERY = 10_000;
/** Longer than the gem's own beat (15 s): after an outage of Redis every instance has had time to come back, ms. */
const GRACE = 20_000;
const LOCK = 60_000;
const SLICE = 500;

interface Seen {
  readonly instance: string;
  readonly isAlive: boolean;
  readonly jids: readonly string[];
}

export class GemSource implements RubySource {
  readonly guests: () => Promise<readonly Guest[]>;
  readonly #redis: Connection;
  readonly #keys: Keys;
  readonly #namespace: string;
  readonly #token: string = `assured-jobs:${randomBytes(8).toString("hex")}`;
  /** Since when an instance has been gone, by performance.now(). */
  #gone = new Map<string, number>();
  #isLocked = false;

  constructor({ redis, keys }: { redis: Connection; keys: Keys }, namespace: string) {
    this.#redis = redis;
    this.#keys = keys;
    this.#namespace = `${keys.prefix}${namespace}`;
    this.guests = remembered(LOOK_EVERY, () => this.#look());
  }

  owns(idOrProof: string): boolean {
    return unpacked(KIND, idOrProof).length > 0;
  }

  async orphansOf(queue: string, dead: readonly DeadHolder[]): Promise<readonly Orphan[]> {
    const orphans: Orphan[] = [];
    for (const { incarnation, ids } of dead)
      for (const instance of ids.flatMap((id) => unpacked(KIND, id)))
        orphans.push(...(await this.#orphansOf(queue, instance, incarnation)));
    await this.#hold(orphans.length > 0);
    return orphans;
  }

  async textOf(_queue: string, proof: string): Promise<string | undefined> {
    const [, jid = ""] = unpacked(KIND, proof);
    const text = await this.#redis.call("GET", this.#key("job", jid));
    return typeof text === "string" ? text : undefined;
  }

  async move({ proof, text }: Pick<Move, "proof" | "text">, to: Placing): Promise<"moved" | "already" | "finished"> {
    const [instance = "", jid = ""] = unpacked(KIND, proof);
    const seen = await this.textOf("", proof);
    if (seen === undefined) return "finished";
    const keys = [this.#key("instance", instance), this.#key("jobs", instance), this.#key("job", jid), this.#lives];
    const mark = packed(KIND, jid).replaceAll(" ", "");
    const args = [mark, seen, text === "" ? seen : text, to.delay, to.how, to.queue, jid, instance];
    return (await this.#redis.run(moveGem, [...keys, ...to.keys, ...args])) as "moved" | "already" | "finished";
  }

  async rest(): Promise<void> {
    await this.#hold(false);
  }

  async #look(): Promise<readonly Guest[]> {
    const seen = await this.#instances();
    const gone = seen.filter(({ isAlive, jids }) => !isAlive && jids.length > 0);
    const now = performance.now();
    this.#gone = new Map(gone.map(({ instance }) => [instance, this.#gone.get(instance) ?? now]));
    const atWork = gone.length > 0 ? await jidsAtWork(this.#redis, this.#keys) : new Set<string>();
    const guests: Guest[] = [];
    for (const one of seen) {
      const isDue = now - (this.#gone.get(one.instance) ?? now) >= GRACE;
      // It beats no more because it leaves, and works on: Sidekiq's own list tells.
      const isDead = isDue && one.jids.some((jid) => !atWork.has(jid));
      if (one.isAlive || isDead) guests.push(await this.#guest(one, isDead));
    }
    return guests;
  }

  async #instances(): Promise<readonly Seen[]> {
    const [jobs, beats] = [`${this.#namespace}:jobs:`, `${this.#namespace}:instance:`];
    const [tracking, beating] = [await this.#scan(jobs), new Set(await this.#scan(beats))];
    const instances = [...new Set([...tracking, ...beating])];
    return Promise.all(
      instances.map(async (instance) => ({
        instance,
        isAlive: beating.has(instance),
        jids: (await this.#redis.call("SMEMBERS", `${jobs}${instance}`)) as string[],
      })),
    );
  }

  /* The gem keeps no list of its instances. */
  async #scan(prefix: string): Promise<readonly string[]> {
    const pattern = `${prefix.replaceAll(/[\\*?[\]]/g, "\\$&")}*`;
    const found = new Set<string>();
    for (let cursor = "0", isFirst = true; isFirst || cursor !== "0"; isFirst = false) {
      const [next, keys] = (await this.#redis.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1_000)) as [
        string,
        string[],
      ];
      cursor = next;
      for (const key of keys) found.add(key.slice(prefix.length));
    }
    return [...found];
  }

  async #guest({ instance, jids }: Seen, isDead: boolean): Promise<Guest> {
    const fresh = randomBytes(8).toString("hex");
    const life = String(await this.#redis.run(gemLife, [this.#lives, instance, fresh]));
    const payloads = await this.#payloads(jids);
    const queues = [...new Set(payloads.map(({ payload }) => payload.string("queue") ?? "default"))];
    const id = packed(KIND, instance);
    const readable = instance.replaceAll(/[^A-Za-z0-9_-]+/g, "-").slice(0, 20);
    const mark = createHash("sha256").update(instance).digest("hex").slice(0, 8);
    return {
      incarnation: `gem-${readable}-${mark}.${life}`,
      name: `ruby:${instance}`,
      host: "",
      pid: 0,
      startedAt: 0,
      holders: Object.fromEntries(queues.map((queue) => [queueKey(this.#keys.prefix, queue), [id]])),
      state: isDead ? "dead" : "alive",
      evidence: `instance ${instance} of sidekiq-assured-jobs has not beaten for its time to live and ${GRACE} ms more, and tracks ${jids.length} jobs`,
    };
  }

  async #orphansOf(queue: string, instance: string, holder: string): Promise<readonly Orphan[]> {
    const jids = (await this.#redis.call("SMEMBERS", this.#key("jobs", instance))) as string[];
    if (jids.length === 0) return [];
    const atWork = await jidsAtWork(this.#redis, this.#keys);
    const held = (await this.#payloads(jids)).filter(({ payload }) => (payload.string("queue") ?? "default") === queue);
    return held
      .filter(({ jid }) => !atWork.has(jid))
      .map(({ jid, payload }) => this.#orphan({ queue, instance, holder }, jid, payload))
      .toSorted((one, other) => other.run - one.run);
  }

  /* The gem counts no runs; the time of the push tells those of one job apart. */
  #orphan(where: { queue: string; instance: string; holder: string }, jid: string, payload: Payload): Orphan {
    const name = classOf(payload);
    return {
      queue: queueKey(this.#keys.prefix, where.queue),
      id: jid,
      run: Math.round(readTimestamp(payload.get("enqueued_at")) ?? 0),
      proof: packed(KIND, where.instance, jid),
      holder: where.holder,
      ...(name === undefined ? {} : { name }),
    };
  }

  async #payloads(jids: readonly string[]): Promise<readonly { jid: string; payload: Payload }[]> {
    const found: { jid: string; payload: Payload }[] = [];
    for (let first = 0; first < jids.length; first += SLICE) {
      const slice = jids.slice(first, first + SLICE);
      const texts = (await this.#redis.call("MGET", ...slice.map((jid) => this.#key("job", jid)))) as (string | null)[];
      texts.forEach((text, at) => {
        const payload = text === null ? undefined : Payload.parse(text);
        if (payload) found.push({ jid: slice[at]!, payload });
      });
    }
    return found;
  }

  /* Best effort: the comparison in the script is what protects a job. */
  async #hold(isWanted: boolean): Promise<void> {
    const lock = `${this.#namespace}:recovery_lock`;
    if (isWanted && !this.#isLocked)
      this.#isLocked = (await this.#redis.call("SET", lock, this.#token, "NX", "PX", LOCK)) === "OK";
    else if (this.#isLocked) {
      const isOurs = await this.#redis.run(gemLock, [lock, this.#token, isWanted ? LOCK : 0]);
      this.#isLocked = isWanted && isOurs === 1;
    }
  }

  get #lives(): string {
    return `${this.#keys.prefix}assured:gem:lives`;
  }

  #key(kind: string, name: string): string {
    return `${this.#namespace}:${kind}:${name}`;
  }
}
