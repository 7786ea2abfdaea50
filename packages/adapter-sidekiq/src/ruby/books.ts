/* Sidekiq's own books: which processes there are, and what each of them works on. Our own are left out. */
import type { Connection } from "../connection.ts";
import type { Keys } from "../keys.ts";
import { Payload } from "../wire/payload.ts";
import { readTimestamp } from "../wire/timestamps.ts";

export interface RubyProcess {
  readonly identity: string;
  readonly host: string;
  readonly pid: number;
  /** ms since 1970 */
  readonly startedAt: number;
  readonly queues: readonly string[];
}

export interface WorkEntry {
  readonly tid: string;
  readonly queue: string;
  readonly text: string;
  readonly jid: string;
  /** Seconds since 1970. */
  readonly runAt: number;
}

/** Processes whose record has not lapsed. */
export async function rubyProcesses(redis: Connection, keys: Keys): Promise<readonly RubyProcess[]> {
  const identities = (await redis.call("SMEMBERS", keys.processes)) as string[];
  const infos = await Promise.all(identities.map((identity) => redis.call("HGET", keys.process(identity), "info")));
  return infos.flatMap((info, at) => (typeof info === "string" ? processOf(identities[at]!, info) : []));
}

/** What a process worked on when it last beat, under both names that Sidekiq has had for it. */
async function workOf(redis: Connection, keys: Keys, identity: string): Promise<readonly WorkEntry[]> {
  const lists = [keys.work(identity), keys.workers(identity)];
  const [newer = [], older = []] = (await Promise.all(lists.map((key) => redis.call("HGETALL", key)))) as string[][];
  return entriesOf([...newer, ...older]);
}

/** Entries of a hash tid -> JSON; what nobody can read is left out. */
export function entriesOf(fields: readonly string[]): readonly WorkEntry[] {
  return fields.flatMap((json, at) => (at % 2 === 1 ? entryOf(fields[at - 1]!, json) : []));
}

/** What every live process works on, ours included: jids. */
export async function jidsAtWork(redis: Connection, keys: Keys): Promise<ReadonlySet<string>> {
  const identities = (await redis.call("SMEMBERS", keys.processes)) as string[];
  const work = await Promise.all(identities.map((identity) => workOf(redis, keys, identity)));
  return new Set(work.flat().map(({ jid }) => jid));
}

function processOf(identity: string, json: string): readonly RubyProcess[] {
  const info = Payload.parse(json);
  const labels = info?.get("labels");
  if (info === undefined || (Array.isArray(labels) && labels.includes("assured-jobs"))) return [];
  const queues = info.get("queues");
  return [
    {
      identity,
      host: info.string("hostname") ?? "",
      pid: info.number("pid") ?? 0,
      startedAt: Math.round(readTimestamp(info.get("started_at")) ?? 0),
      queues: Array.isArray(queues) ? queues.map(String) : [],
    },
  ];
}

function entryOf(tid: string, json: string): readonly WorkEntry[] {
  const entry = Payload.parse(json);
  const [queue, text] = [entry?.string("queue"), entry?.string("payload")];
  const jid = text === undefined ? undefined : Payload.parse(text)?.string("jid");
  if (entry === undefined || queue === undefined || text === undefined || jid === undefined) return [];
  return [{ tid, queue, text, jid, runAt: Math.floor((readTimestamp(entry.get("run_at")) ?? 0) / 1_000) }];
}
