/* Leaving: a handover, not a death.
 *
 * Beats go on until the last job has ended or was handed over, so nobody can take a leaving process for a dead one.
 * From the first step on a death is not charged to the jobs. What cannot end in time is put back by the leaving
 * process itself, by the same compare-and-move that recovery uses; what even that cannot move is left to the others.
 */
import type { JobState, QueueAdapter } from "./adapter.ts";
import { AssuranceError } from "./errors.ts";
import type { Events } from "./events.ts";
import type { Incarnation } from "./instance.ts";
import type { LiveRun } from "./live-run.ts";
import { within } from "./patience.ts";
import type { Runs } from "./runs.ts";
import type { Ledger } from "./store.ts";

/** What stop() did with the jobs that ran when it was called. */
export interface StopReport {
  /** Ended by themselves. */
  readonly finished: number;
  /** Put back into their queue, uncharged. */
  readonly handedOver: number;
  /** Could not be put back; the other instances recover them. */
  readonly left: number;
}

/** After its signal was aborted, a handler gets this long to end by itself, ms. */
const LAST_WORDS = 500;
/** A queue or store that does not answer is waited for so long, ms. What was sent may still happen: each move compares. */
const MOVE_PATIENCE = 2_000;

export interface HandoverParts {
  readonly adapters: readonly QueueAdapter[];
  readonly runs: Runs;
  readonly events: Events;
  readonly ledger: Ledger;
  /** How many runs there were when stop() was called. */
  readonly before: number;
}

/** Expects that nobody fetches any more: see quieten(). */
export async function handOver(parts: HandoverParts, incarnation: Incarnation, timeout: number): Promise<StopReport> {
  const { runs, before } = parts;
  await runs.idle(timeout);
  const told = runs.all.toReversed(); // as giveUpAll() tells them
  runs.giveUpAll(
    new AssuranceError("ERR_HANDOVER", "This process is leaving: the job goes back to its queue and runs elsewhere."),
  );
  await runs.idle(LAST_WORDS);
  const live = new Set(runs.all);
  const ends = await Promise.all(told.map((one) => endOf(parts, one, { holder: incarnation, goesOn: live.has(one) })));
  const count = (end: End): number => ends.filter((one) => one === end).length;
  const [handedOver, left] = [count("handed over"), count("left")];
  return { finished: Math.max(0, before - handedOver - left), handedOver, left };
}

/**
 * Lets nobody fetch. False when a fetch of this process may still bring a job that nobody here will see. `again`: a queue
 * that did not answer the first time is asked, but hardly waited for.
 */
export async function quieten(adapters: readonly QueueAdapter[], again = false): Promise<boolean> {
  const patience = again ? LAST_WORDS : MOVE_PATIENCE;
  const paused = await Promise.allSettled(adapters.map((adapter) => within(patience, adapter.pause())));
  return paused.every(({ status }) => status === "fulfilled");
}

type End = "finished" | "handed over" | "left";

/* A handler that heeded its signal was put back by its adapter as it ended; one that goes on is put back here. */
async function endOf(
  { adapters, events, ledger }: HandoverParts,
  { run }: LiveRun,
  { holder, goesOn }: { holder: Incarnation; goesOn: boolean },
): Promise<End> {
  const adapter = adapters.find(({ queues }) => queues.includes(run.queue));
  const orphan = { ...run, holder };
  try {
    if (!adapter) return goesOn ? "left" : "finished";
    if (goesOn) await within(MOVE_PATIENCE, adapter.requeue(orphan, { delay: 0 }));
    if (!isBack(await within(MOVE_PATIENCE, adapter.state(run.queue, run.id)))) return "finished";
    events.emit("orphan.recovered", { orphan, deaths: 0, delay: 0 });
    const recorded = ledger.record("recoveries", {
      type: "orphan.recovered",
      who: holder,
      queue: run.queue,
      job: run.id,
      run: run.run,
      evidence: "handed over by its own process",
      detail: "not charged",
    });
    await within(MOVE_PATIENCE, recorded).catch((error: unknown) => events.failed("recording a handover", error)); // it is back all the same
    return "handed over";
  } catch (error) {
    events.emit("orphan.failed", { orphan, error });
    return goesOn ? "left" : "finished";
  }
}

/* Waiting, or held again by somebody who was quick. */
const isBack = (state: JobState): boolean => state === "waiting" || state === "held";
