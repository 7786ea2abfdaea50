/* Where a job is, by its jid. Sidekiq has no index: the record of runs and what was put off by us are looked through first,
 * since they are short, then the queue from its next job on, then the sorted sets. In slices, so that Redis stays free. */
import type { JobState } from "@assured-jobs/core";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { POISON } from "./requeue.ts";
import { recordedRuns } from "./running.ts";
import { Payload } from "./wire/payload.ts";

export type Where = "running" | "parked" | "waiting" | "retry" | "schedule" | "dead" | "buried";

export interface Found {
  readonly where: Where;
  /** Key of the list or set, and the entry there. */
  readonly key: string;
  readonly entry: string;
  readonly text: string;
}

const STATES: Readonly<Record<Where, JobState>> = {
  running: "held",
  parked: "waiting",
  waiting: "waiting",
  retry: "waiting",
  schedule: "waiting",
  dead: "failed",
  buried: "failed",
};

const SLICE = 1_000;

export const stateOf = (found: Found | undefined): JobState => (found === undefined ? "missing" : STATES[found.where]);

/** The job of this queue with that jid; undefined when Redis knows none. */
export async function findJob({ redis, keys }: Place, queue: string, jid: string): Promise<Found | undefined> {
  const { running, parked, waiting } = keys.queue(queue);
  const isIt = isJob(jid);
  const inRecord = async (): Promise<Found | undefined> => {
    const runs = await recordedRuns(redis, running);
    const found = runs.find(({ text, run }) => isIt(text) || jid === `run-${run}`);
    return found && { where: "running", key: running, entry: found.proof, text: found.text };
  };
  const held = await inRecord();
  if (held) return held;
  const later = (await redis.call("ZRANGE", parked, 0, -1)) as string[];
  for (const entry of later)
    if (isIt(parkedText(entry))) return { where: "parked", key: parked, entry, text: parkedText(entry) };
  const text = await inList(redis, waiting, isIt);
  if (text !== undefined) return { where: "waiting", key: waiting, entry: text, text };
  return (await inSets({ redis, keys }, queue, jid)) ?? inRecord(); // it may have been fetched while we looked
}

interface Place {
  readonly redis: Connection;
  readonly keys: Keys;
}

const parkedText = (entry: string): string => entry.slice(entry.indexOf(" ") + 1);

/* Most texts are ruled out without being parsed. */
function isJob(jid: string): (text: string) => boolean {
  const written = JSON.stringify(jid).slice(1, -1);
  return (text) => (text.includes(written) || text.includes("\\")) && Payload.parse(text)?.get("jid") === jid;
}

async function inList(redis: Connection, key: string, isIt: (text: string) => boolean): Promise<string | undefined> {
  for (let last = -1; ; last -= SLICE) {
    const texts = (await redis.call("LRANGE", key, last - SLICE + 1, last)) as string[];
    const found = texts.findLast(isIt);
    if (found !== undefined || texts.length < SLICE) return found;
  }
}

async function inSets({ redis, keys }: Place, queue: string, jid: string): Promise<Found | undefined> {
  const isIt = isJob(jid);
  for (const where of ["dead", "retry", "schedule"] as const) {
    const text = await inSet(redis, keys[where], (one) => isIt(one) && Payload.parse(one)?.get("queue") === queue);
    if (text === undefined) continue;
    const isBuried = where === "dead" && Payload.parse(text)?.get("error_class") === POISON;
    return { where: isBuried ? "buried" : where, key: keys[where], entry: text, text };
  }
  return undefined;
}

async function inSet(redis: Connection, key: string, isIt: (text: string) => boolean): Promise<string | undefined> {
  for (let cursor = "0", isFirst = true; isFirst || cursor !== "0"; isFirst = false) {
    const [next, fields] = (await redis.call("ZSCAN", key, cursor, "COUNT", SLICE)) as [string, string[]];
    cursor = next;
    const found = fields.find((text, at) => at % 2 === 0 && isIt(text));
    if (found !== undefined) return found;
  }
  return undefined;
}
