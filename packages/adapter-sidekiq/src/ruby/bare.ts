/* Ruby processes without any gem, watched by what Sidekiq lists of them. Best effort, and asked for.
 *
 * What a process works on is in Sidekiq's books only until its record lapses, a minute after its last beat. So those on
 * duty keep a copy of it in Redis. A process that leaves takes itself off the list while its record is still there; when
 * the record lapses without that, the copy is what it held. A job that is found anywhere else by then is not moved.
 */
import { createHash } from "node:crypto";
import type { DeadHolder, Guest, Orphan } from "@assured-jobs/core";
import type { Connection } from "../connection.ts";
import { findJob } from "../find.ts";
import { queueKey } from "../keys.ts";
import type { Keys } from "../keys.ts";
import type { Move } from "../requeue.ts";
import { copyWork, moveCopied } from "../scripts/ruby.ts";
import { Payload } from "../wire/payload.ts";
import { classOf } from "../worker/job.ts";
import { entriesOf, jidsAtWork, rubyProcesses } from "./books.ts";
import type { RubyProcess, WorkEntry } from "./books.ts";
import { packed, remembered, unpacked } from "./source.ts";
import type { Placing, RubySource } from "./source.ts";

const KIND = "ruby";
const LOOK_EVERY = 2_000;
/** Longer than Sidekiq's own beat (5 to 10 s): after an outage of Redis every process has had time to come back, ms. */
const GRACE = 20_000;

export class BareSource implements RubySource {
  readonly guests: () => Promise<readonly Guest[]>;
  readonly #redis: Connection;
  readonly #keys: Keys;
  /** Since when a record has been gone, by performance.now(). */
  #gone = new Map<string, number>();
  /** Keys under which the gem tracks a job, where both kinds are watched: it is the gem's then. */
  readonly #gemJob: ((jid: string) => string) | undefined;

  constructor({ redis, keys }: { redis: Connection; keys: Keys }, gemJob: ((jid: string) => string) | undefined) {
    this.#redis = redis;
    this.#keys = keys;
    this.#gemJob = gemJob;
    this.guests = remembered(LOOK_EVERY, () => this.#look());
  }

  owns(idOrProof: string): boolean {
    return unpacked(KIND, idOrProof).length > 0;
  }

  async orphansOf(queue: string, dead: readonly DeadHolder[]): Promise<readonly Orphan[]> {
    const orphans: Orphan[] = [];
    for (const { incarnation, ids } of dead) {
      for (const identity of ids.flatMap((id) => unpacked(KIND, id))) {
        const entries = (await this.#copied(identity)).filter((entry) => entry.queue === queue);
        for (const entry of await this.#unaccounted(queue, identity, entries))
          orphans.push(this.#orphan({ queue, identity, holder: incarnation }, entry));
      }
    }
    return orphans;
  }

  async textOf(_queue: string, proof: string): Promise<string | undefined> {
    const [identity = "", tid = ""] = unpacked(KIND, proof);
    const json = await this.#redis.call("HGET", this.#copy(identity), tid);
    return typeof json === "string" ? entriesOf([tid, json])[0]?.text : undefined;
  }

  async move({ proof, text }: Pick<Move, "proof" | "text">, to: Placing): Promise<"moved" | "finished"> {
    const [identity = "", tid = ""] = unpacked(KIND, proof);
    if (text === "") return "finished";
    const mark = packed(KIND, identity, tid).replaceAll(" ", "");
    const args = [mark, tid, text, to.delay, to.how, to.queue];
    return (await this.#redis.run(moveCopied, [this.#copy(identity), ...to.keys, ...args])) as "moved" | "finished";
  }

  async rest(): Promise<void> {}

  async #look(): Promise<readonly Guest[]> {
    const processes = await rubyProcesses(this.#redis, this.#keys);
    for (const process of processes) await this.#note(process);
    const watched = (await this.#redis.call("HGETALL", this.#watched)) as string[];
    const guests: Guest[] = [];
    const gone = new Map<string, number>();
    for (let at = 0; at < watched.length; at += 2) {
      const [identity, json] = [watched[at]!, watched[at + 1]!];
      const state = await this.#follow(identity);
      if (state === "gone") gone.set(identity, this.#gone.get(identity) ?? performance.now());
      const isDead = performance.now() - (gone.get(identity) ?? Number.POSITIVE_INFINITY) >= GRACE;
      if (state !== "left") guests.push(this.#guest(JSON.parse(json) as RubyProcess, isDead));
    }
    this.#gone = gone;
    return guests;
  }

  async #note(process: RubyProcess): Promise<void> {
    await this.#redis.call("HSET", this.#watched, process.identity, JSON.stringify(process));
  }

  /* A process is forgotten once it has left, or nothing of it is left. */
  async #follow(identity: string): Promise<"alive" | "left" | "gone"> {
    const { processes } = this.#keys;
    const where = [this.#keys.process(identity), this.#keys.work(identity), this.#keys.workers(identity)];
    const state = String(await this.#redis.run(copyWork, [...where, this.#copy(identity), processes, identity]));
    const isOver =
      state === "left" || (state === "gone" && (await this.#redis.call("EXISTS", this.#copy(identity))) === 0);
    if (isOver) await this.#redis.call("HDEL", this.#watched, identity);
    return isOver ? "left" : (state as "alive" | "gone");
  }

  #guest({ identity, host, pid, startedAt, queues }: RubyProcess, isDead: boolean): Guest {
    const mark = createHash("sha256").update(identity).digest("hex").slice(0, 16);
    const id = packed(KIND, identity);
    return {
      incarnation: `ruby-${host.replaceAll(/[^A-Za-z0-9_-]+/g, "-").slice(0, 24)}-${pid}.${mark}`,
      name: `ruby:${host}:${pid}`,
      host,
      pid,
      startedAt,
      holders: Object.fromEntries(queues.map((queue) => [queueKey(this.#keys.prefix, queue), [id]])),
      state: isDead ? "dead" : "alive",
      evidence: `the record of ${identity} in Sidekiq's books has lapsed for ${GRACE} ms and more, and it did not take itself off the list`,
    };
  }

  async #copied(identity: string): Promise<readonly WorkEntry[]> {
    return entriesOf((await this.#redis.call("HGETALL", this.#copy(identity))) as string[]);
  }

  /* Those that are nowhere else: not at work, not queued again, not failed, not tracked by the gem. The rest is forgotten. */
  async #unaccounted(queue: string, identity: string, entries: readonly WorkEntry[]): Promise<readonly WorkEntry[]> {
    if (entries.length === 0) return [];
    const atWork = await jidsAtWork(this.#redis, this.#keys);
    const lost: WorkEntry[] = [];
    for (const entry of entries) {
      const isElsewhere =
        atWork.has(entry.jid) ||
        (await this.#isTheGems(entry.jid)) ||
        (await findJob({ redis: this.#redis, keys: this.#keys }, queue, entry.jid)) !== undefined;
      if (isElsewhere) await this.#redis.call("HDEL", this.#copy(identity), entry.tid);
      else lost.push(entry);
    }
    return lost;
  }

  async #isTheGems(jid: string): Promise<boolean> {
    return this.#gemJob !== undefined && (await this.#redis.call("EXISTS", this.#gemJob(jid))) === 1;
  }

  #orphan(where: { queue: string; identity: string; holder: string }, { tid, jid, text, runAt }: WorkEntry): Orphan {
    const payload = Payload.parse(text);
    const name = payload && classOf(payload);
    return {
      queue: queueKey(this.#keys.prefix, where.queue),
      id: jid,
      run: runAt,
      proof: packed(KIND, where.identity, tid),
      holder: where.holder,
      ...(name === undefined ? {} : { name }),
    };
  }

  get #watched(): string {
    return `${this.#keys.prefix}assured:ruby:watched`;
  }

  #copy(identity: string): string {
    return `${this.#keys.prefix}assured:ruby:${identity}`;
  }
}
