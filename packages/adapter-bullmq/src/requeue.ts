/* Giving an orphan back.
 *
 * BullMQ's own move compares the dead holder's token, so it works once, for one recoverer, and never on a run of
 * somebody alive: a token names its worker. When the lock has lapsed there is nothing to compare; then the orphan is
 * adopted first (scripts/adopt.ts compares the run), and the same move is made with the adopter's token.
 */
import type { Orphan, RequeueOutcome } from "@assured-jobs/core";
import type { NativeMember } from "./native.ts";
import { CODE, codeOf, loadJob, toDelayed, toFailed, toWait } from "./moves.ts";
import { adopt } from "./scripts/adopt.ts";
import { inspect } from "./scripts/inspect.ts";
import { BURIED, keep } from "./scripts/keep.ts";
import { wake } from "./scripts/wake.ts";
import type { ServedQueue } from "./served-queue.ts";
import { ADOPTION_PREFIX, ADOPTION_TTL, adoptionToken } from "./tokens.ts";

type Rest = Exclude<RequeueOutcome, "requeued">;
type Move = (member: NativeMember, token: string) => Promise<unknown>;

/** Puts the orphan back in front of its queue, or into the delayed set when `delay` is set. */
export async function requeue(queue: ServedQueue, orphan: Orphan, delay: number): Promise<RequeueOutcome> {
  const outcome = await compareAndMove(queue, orphan, (member, token) =>
    delay > 0 ? toDelayed(member, orphan.id, token, delay) : toWait(member, orphan.id, token),
  );
  if (outcome === "moved" || outcome === "already") await wakeFor(queue, orphan);
  return outcome === "moved" ? "requeued" : outcome;
}

/** Fails the orphan for good and keeps it. */
export async function bury(queue: ServedQueue, orphan: Orphan, reason: string): Promise<"buried" | Rest> {
  const outcome = await compareAndMove(queue, orphan, async (member, token) => {
    const job = await loadJob(member, orphan.id);
    if (job === undefined) throw refusal(CODE.missing);
    if (job.attemptsStarted !== orphan.run) throw refusal(CODE.mismatch);
    return toFailed(member, job, token, reason);
  });
  const earlier = outcome === "finished" && (await failureOf(queue, orphan.id)) === reason; // by another, or a try cut off
  if (outcome !== "moved" && !earlier) return outcome;
  await queue.run(keep, [queue.keys.failed, orphan.id, BURIED]);
  return outcome === "moved" ? "buried" : "already";
}

/** Moves a job whose lock is ours by now back to the queue. */
export async function moveAdopted(queue: ServedQueue, job: { id: string; run: number }, token: string): Promise<void> {
  if ((await attempt(() => toWait(queue.member, job.id, token))) === undefined) await wakeFor(queue, job);
}

async function compareAndMove(queue: ServedQueue, orphan: Orphan, move: Move): Promise<"moved" | Rest> {
  const refused = await attempt(() => move(queue.member, orphan.proof));
  if (refused === undefined) return "moved";
  if (refused === CODE.missing) return "vanished";

  const token = adoptionToken();
  const verdict = await adoptOrphan(queue, orphan, token);
  if (verdict !== "adopted") return verdict;
  const refusedAgain = await attempt(() => move(queue.member, token));
  if (refusedAgain === undefined) return "moved";
  return refusedAgain === CODE.missing ? "vanished" : "already";
}

async function adoptOrphan(queue: ServedQueue, orphan: Orphan, token: string): Promise<"adopted" | Rest> {
  const { keys } = queue;
  const where = [keys.job(orphan.id), keys.lock(orphan.id), keys.active, keys.completed, keys.failed];
  const args = [...where, orphan.id, orphan.run, token, ADOPTION_TTL, ADOPTION_PREFIX];
  return (await queue.run(adopt, args)) as "adopted" | Rest;
}

/** Undefined when BullMQ accepted the move, its code when it refused. Everything else is passed on. */
async function attempt(move: () => Promise<unknown>): Promise<number | undefined> {
  try {
    await move();
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined || !REFUSALS.has(code)) throw error;
    return code;
  }
}

async function wakeFor(queue: ServedQueue, job: { id: string; run: number }): Promise<void> {
  if (queue.sightings.priorityOf(job.id, job.run) === 0) return;
  await wakeOne(queue, job.id);
}

/** One that was woken fetches nothing: somebody else shall look. */
export const wakeAnother = (queue: ServedQueue): Promise<void> => wakeOne(queue, "");

async function wakeOne(queue: ServedQueue, id: string): Promise<void> {
  await queue.run(wake, [queue.keys.prioritized, queue.keys.marker, queue.keys.meta, id]);
}

async function failureOf(queue: ServedQueue, id: string): Promise<string> {
  const reply = await queue.run(inspect, [queue.keys.job(id), queue.keys.lock(id), queue.keys.failed, id]);
  return (reply as string[])[3] ?? "";
}

const REFUSALS: ReadonlySet<number> = new Set([CODE.missing, CODE.unlocked, CODE.elsewhere, CODE.mismatch]);

const refusal = (code: number): Error => Object.assign(new Error(`refused (${code})`), { code });
