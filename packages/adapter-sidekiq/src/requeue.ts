/* Giving jobs back, or burying one: one script each, which compares the proof of the run that held it. */
import type { RequeueOutcome } from "@assured-jobs/core";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { parseProof } from "./proof.ts";
import { bury as buryScript, requeue as requeueScript } from "./scripts/give-back.ts";
import type { Read } from "./wire/payload.ts";
import { timestamp } from "./wire/timestamps.ts";
import type { TimestampUnit } from "./wire/timestamps.ts";

/** Where what is given back goes: it is the next one, or behind all others, or in another queue. */
export type RecoverTo = "front" | "back" | { readonly queue: string };

export interface Place {
  readonly redis: Connection;
  readonly keys: Keys;
}

/** The error class under which a buried job stands in the dead set. */
export const POISON = "AssuredJobs::PoisonPill";

/** One move of a job that `proof` holds. */
export interface Move {
  readonly queue: string;
  readonly proof: string;
  /** As it is to stand there; empty: as it was fetched. */
  readonly text: string;
  /** ms */
  readonly delay: number;
  readonly to: RecoverTo;
}

/** Moves of one queue, each compared by itself, in one step. */
export async function requeueAll(
  { redis, keys }: Place,
  queue: string,
  moves: readonly Move[],
): Promise<readonly RequeueOutcome[]> {
  const { running, given } = keys.queue(queue);
  const targets = new Map<string, ReturnType<Keys["queue"]>>();
  const where: string[] = [running, given, keys.queues];
  const told: (string | number)[] = [];
  for (const { proof, text, delay, to } of moves) {
    const { identity, run } = parseProof(proof) ?? NOBODY;
    const name = targetOf(queue, to);
    const target = targets.get(name) ?? keys.queue(name);
    targets.set(name, target);
    where.push(keys.work(identity), keys.workers(identity), target.waiting, target.parked);
    told.push(proof, run, text, delay, to === "front" ? "RPUSH" : "LPUSH", name);
  }
  return (await redis.run(requeueScript, [where.length, ...where, ...told])) as RequeueOutcome[];
}

const NOBODY = { identity: "", run: 0 };

const targetOf = (queue: string, to: RecoverTo): string => (typeof to === "object" ? to.queue : queue);

export async function requeue(place: Place, move: Move): Promise<RequeueOutcome> {
  const [outcome] = await requeueAll(place, move.queue, [move]);
  return outcome!;
}

/** What this process fetched and will not run or end: in front, with `text`, or as it came. */
export async function giveBack(place: Place, queue: string, proof: string, text = ""): Promise<void> {
  await requeue(place, { queue, proof, text, delay: 0, to: "front" });
}

export async function bury(
  { redis, keys }: Place,
  { queue, proof, text }: Pick<Move, "queue" | "proof" | "text">,
): Promise<"buried" | Exclude<RequeueOutcome, "requeued">> {
  const { running, given } = keys.queue(queue);
  const { identity, run } = parseProof(proof) ?? NOBODY;
  const where = [running, given, keys.work(identity), keys.workers(identity), keys.dead];
  return (await redis.run(buryScript, [...where, proof, run, text])) as "buried" | Exclude<RequeueOutcome, "requeued">;
}

/** With a fresh `enqueued_at`, so that the latency of the queue tells of its workers and not of a death. Empty, which is
 * as it stands in Redis, where nobody can read it, or where bytes that are no UTF-8 were lost by reading. */
export function refreshed({ text, payload }: Read, queue: string, unit: TimestampUnit): string {
  if (payload === undefined || text.includes("\uFFFD")) return "";
  return payload.with({
    enqueued_at: timestamp(Date.now(), unit),
    ...(payload.get("queue") === queue ? {} : { queue: JSON.stringify(queue) }),
  });
}

/** As it stands in the dead set, with the fields by which Sidekiq's Web tells why. Empty where nobody can read it. */
export function condemned({ payload }: Read, reason: string, unit: TimestampUnit): string {
  return (
    payload?.with({
      error_class: JSON.stringify(POISON),
      error_message: JSON.stringify(reason),
      failed_at: timestamp(Date.now(), unit),
    }) ?? ""
  );
}
