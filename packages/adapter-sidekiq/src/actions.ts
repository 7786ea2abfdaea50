/* What a person may do with a job. Each looks where it is, and then moves it only if it is still there as it was seen. */
import { AssuranceError } from "@assured-jobs/core";
import type { Connection } from "./connection.ts";
import { findJob } from "./find.ts";
import type { Found, Where } from "./find.ts";
import type { Keys } from "./keys.ts";
import { enqueue } from "./scripts/people.ts";
import { Payload } from "./wire/payload.ts";
import { timestamp } from "./wire/timestamps.ts";
import type { TimestampUnit } from "./wire/timestamps.ts";

export interface Desk {
  readonly redis: Connection;
  readonly keys: Keys;
  readonly unit: TimestampUnit;
}

const ERROR_FIELDS = ["error_class", "error_message", "error_backtrace", "failed_at", "retried_at"] as const;

/** Makes a job due now that we put off. One that waits for its retry, or its time, keeps both: that is Sidekiq's own. */
export async function promoteJob(desk: Desk, queue: string, jid: string): Promise<void> {
  const found = await findJob(desk, queue, jid);
  if (found?.where === "parked") await intoQueue(desk, queue, { found, text: found.text, side: "RPUSH" });
}

/** As the button of Sidekiq's Web: behind the queue, with one retry less on its count. */
export async function retryDead(desk: Desk, queue: string, jid: string): Promise<void> {
  const found = await findJob(desk, queue, jid);
  if (found === undefined || (found.where !== "dead" && found.where !== "buried")) throw refused("retry", jid, found);
  const payload = Payload.parse(found.text)!;
  const count = payload.number("retry_count");
  const text = payload.with(count === undefined ? {} : { retry_count: String(count - 1) });
  await moved("retry", jid, intoQueue(desk, queue, { found, text, side: "LPUSH" }));
}

/** A buried job comes back as if it had never failed by itself. */
export async function releaseBuried(desk: Desk, queue: string, jid: string): Promise<void> {
  const found = await findJob(desk, queue, jid);
  if (found?.where === "dead")
    throw refusal("release", jid, "it was not buried, it failed by itself. Retry it instead.");
  if (found?.where !== "buried") throw refused("release", jid, found);
  const payload = Payload.parse(found.text)!;
  const isFirst = payload.get("retry_count") === undefined;
  const gone = isFirst ? ERROR_FIELDS : (["error_class", "error_message", "error_backtrace"] as const);
  const text = payload.with(Object.fromEntries(gone.map((field) => [field, undefined])));
  await moved("release", jid, intoQueue(desk, queue, { found, text, side: "RPUSH" }));
}

export async function discardJob(desk: Desk, queue: string, jid: string): Promise<void> {
  const found = await findJob(desk, queue, jid);
  if (found === undefined || found.where === "running") throw refused("discard", jid, found);
  const { redis } = desk;
  const { key, entry } = found;
  const removed = found.where === "waiting" ? redis.call("LREM", key, -1, entry) : redis.call("ZREM", key, entry);
  await moved("discard", jid, removed);
}

interface Placing {
  readonly found: Found;
  readonly text: string;
  readonly side: "RPUSH" | "LPUSH";
}

function intoQueue({ redis, keys, unit }: Desk, queue: string, { found, text, side }: Placing): Promise<unknown> {
  const fresh = Payload.parse(text)!.with({ enqueued_at: timestamp(Date.now(), unit) });
  return redis.run(enqueue, [found.key, keys.queue(queue).waiting, keys.queues, found.entry, fresh, side, queue]);
}

async function moved(action: string, jid: string, reply: Promise<unknown>): Promise<void> {
  if (Number(await reply) !== 1) throw refusal(action, jid, "it was moved meanwhile. Look at it again.");
}

const NOW: Readonly<Record<Where, string>> = {
  running: "a worker holds it. Wait until it has ended, or until its holder was declared dead.",
  parked: "it waits to run again. Look at it again.",
  waiting: "it waits in its queue. Look at it again.",
  retry: "it waits for its retry. Look at it again.",
  schedule: "it is scheduled. Look at it again.",
  dead: "it is in the dead set. Look at it again.",
  buried: "it is buried. Look at it again.",
};

const refused = (action: string, jid: string, found: Found | undefined): AssuranceError =>
  refusal(action, jid, found === undefined ? "the queue knows no such job." : NOW[found.where]);

const refusal = (action: string, jid: string, reason: string): AssuranceError =>
  new AssuranceError("ERR_ACTION_REFUSED", `Cannot ${action} job ${jid}: ${reason}`);
