/* Workers in Ruby that this process watches: what they are, what they hold, and how it is moved. */
import type { DeadHolder, Guest, Orphan, RequeueOutcome } from "@assured-jobs/core";
import type { Keys } from "../keys.ts";
import type { Move } from "../requeue.ts";

/** One kind of Ruby worker: with the gem sidekiq-assured-jobs, or without any. */
export interface RubySource {
  guests(): Promise<readonly Guest[]>;
  /** Whether a holder's id, or a proof, is one of this kind. */
  owns(idOrProof: string): boolean;
  orphansOf(queue: string, dead: readonly DeadHolder[]): Promise<readonly Orphan[]>;
  /** The payload that it holds; undefined when it is not there any more. */
  textOf(queue: string, proof: string): Promise<string | undefined>;
  /** Moves the job if it is still there as it was seen. `text` is empty when it was not. */
  move(job: Pick<Move, "proof" | "text">, to: Placing): Promise<"moved" | "already" | "finished">;
  /** Gives back what it took for its work. */
  rest(): Promise<void>;
}

/** Where a job is put, as the scripts that move it take it. */
export interface Placing {
  /** Keys: waiting or dead, parked, queues. */
  readonly keys: readonly [string, string, string];
  readonly how: "RPUSH" | "LPUSH" | "dead";
  /** ms */
  readonly delay: number;
  readonly queue: string;
}

export async function requeueFrom(source: RubySource, keys: Keys, move: Move): Promise<RequeueOutcome> {
  const { queue, delay, to } = move;
  const target = typeof to === "object" ? to.queue : queue;
  const { waiting, parked } = keys.queue(target);
  const how = to === "front" ? "RPUSH" : "LPUSH";
  const answer = await source.move(move, { keys: [waiting, parked, keys.queues], how, delay, queue: target });
  return answer === "moved" ? "requeued" : answer;
}

export async function buryFrom(
  source: RubySource,
  keys: Keys,
  job: Pick<Move, "proof" | "text">,
): Promise<"buried" | Exclude<RequeueOutcome, "requeued">> {
  const answer = await source.move(job, { keys: [keys.dead, "", ""], how: "dead", delay: 0, queue: "" });
  return answer === "moved" ? "buried" : answer;
}

export interface RubyOptions {
  /**
   * Watch Ruby processes that run the gem sidekiq-assured-jobs, by its own keys. Default false. A namespace is that of the
   * gem, default `sidekiq_assured_jobs`. Finding its keys takes a SCAN of the database every ten seconds.
   */
  readonly gem?: boolean | { readonly namespace: string };
  /**
   * Watch all other Ruby processes, by what Sidekiq lists of them. Default false. Best effort: a job that began since the
   * last heartbeat (5 to 10 s) is missed, and one that ended since then runs again.
   */
  readonly bare?: boolean;
}

/** Names within a proof or an id, whatever characters they have. */
export const packed = (kind: string, ...names: readonly string[]): string => `${kind} ${JSON.stringify(names)}`;

export function unpacked(kind: string, text: string): readonly string[] {
  if (!text.startsWith(`${kind} [`)) return [];
  try {
    return JSON.parse(text.slice(kind.length + 1)) as string[];
  } catch {
    return []; // a stranger's, who writes the same word
  }
}

/** The same answer for a while, ms: many queues ask, and the books change only every few seconds. */
export function remembered<T>(ms: number, read: () => Promise<T>): () => Promise<T> {
  let [answer, until] = [undefined as Promise<T> | undefined, 0];
  return () => {
    if (answer !== undefined && performance.now() < until) return answer;
    until = performance.now() + ms;
    answer = read();
    answer.catch(() => (until = 0)); // the next one asks again
    return answer;
  };
}
