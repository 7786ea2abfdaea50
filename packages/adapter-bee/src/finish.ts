/* The end of a run, as the queue must see it.
 *
 * Bee writes an end unconditionally and never again: a run that was given away would take its successor's job off the
 * list, and an end whose connection broke would be lost. Here one script compares and writes what Bee would have, and
 * is repeated until it was answered. A handler that fails because its run was given up has not failed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { AssuranceError } from "@assured-jobs/core";
import type { Run, RunControl } from "@assured-jobs/core";
import { tellError } from "./native.ts";
import type { NativeJob, NativeQueue, Outcome } from "./native.ts";
import { giveBack, setAside } from "./requeue.ts";
import { finish } from "./scripts/finish.ts";
import type { ServedQueue } from "./served-queue.ts";

const FIRST_RETRY = 100;
const LAST_RETRY = 1_000;

/** A run, as its end needs it. */
export interface Ending {
  readonly queue: NativeQueue;
  readonly served: ServedQueue;
  readonly run: Run;
  readonly control: RunControl;
  /** The queue refused this run's end. */
  readonly refused: (run: Run) => void;
}

interface End {
  readonly status: "succeeded" | "failed" | "retrying";
  readonly write: "remove" | "set" | "wait" | "delay";
  readonly due: number;
}

/** What Bee's own `_finishJob` would do. Undefined when the run had nothing to say any more. */
export async function finishRun(ending: Ending, error: unknown, data: unknown, job: NativeJob): Promise<Outcome> {
  const { control, served, run } = ending;
  if (error && control.givenUp) {
    if (isHandover(control.givenUp)) await giveBack(served, run.id, run.proof);
    return undefined;
  }
  const told = toldOf(ending, { error, data, job });
  if (told === undefined) {
    await setAsideOf(ending);
    return undefined;
  }
  const accepted = await answered(ending, told.args);
  if (accepted) return [told.status, error || data];
  ending.refused(run);
  return undefined;
}

interface Facts {
  readonly error: unknown;
  readonly data: unknown;
  readonly job: NativeJob;
}

/* Undefined when it cannot be written: a job whose data is no JSON any more, a backoff strategy that throws. */
function toldOf(
  ending: Ending,
  facts: Facts,
): { status: End["status"]; args: readonly (string | number)[] } | undefined {
  try {
    const end = endOf(ending.queue, facts.error, facts.job);
    return { status: end.status, args: argsOf(ending, end, facts) };
  } catch (thrown) {
    tellError(ending.queue, thrown);
    return undefined;
  }
}

/* Its run is over and nobody could end it: as it is into the failed set, where a person finds it. */
async function setAsideOf({ queue, served, run, control }: Ending): Promise<void> {
  while (!queue._isClosed && !control.givenUp) {
    try {
      await setAside(served, run.id, run.proof);
      return;
    } catch {
      await sleep(LAST_RETRY);
    }
  }
}

const isHandover = (reason: Error): boolean => reason instanceof AssuranceError && reason.code === "ERR_HANDOVER";

/* Changes the job as Bee does. */
function endOf({ settings }: NativeQueue, error: unknown, job: NativeJob): End {
  const delay = error ? job.computeDelay() : -1;
  const status = error ? (delay >= 0 ? "retrying" : "failed") : "succeeded";
  job.status = status;
  if (error) job.options.stacktraces.unshift(traceOf(error));
  if (status !== "retrying") {
    const removed = status === "failed" ? settings.removeOnFailure : settings.removeOnSuccess;
    return { status, write: removed ? "remove" : "set", due: 0 };
  }
  job.options.retries = (job.options.retries ?? 0) - 1;
  return delay === 0 ? { status, write: "wait", due: 0 } : { status, write: "delay", due: Date.now() + delay };
}

/* Anything can be thrown. */
function traceOf(error: unknown): unknown {
  const { stack, message } = error as { stack?: unknown; message?: unknown };
  return stack || message || error;
}

function argsOf(
  { queue, served, run }: Ending,
  { status, write, due }: End,
  { error, data, job }: Facts,
): readonly (string | number)[] {
  const { keys } = served;
  const target = { succeeded: keys.succeeded, failed: keys.failed, retrying: keys.delayed }[status];
  const where = [keys.owner, keys.active, keys.stalling, keys.waiting, keys.jobs, keys.parked, target];
  const event = queue.settings.sendEvents
    ? eventOf(queue, { id: job.id, event: status }, error ? messageOf(error) : data)
    : "";
  const { events, earlierDelayed } = keys.channels;
  const made = job.options.timestamp ?? 0;
  const json = write === "remove" ? "" : job.toData();
  return [...where, job.id, run.proof, write, json, event, events, due, earlierDelayed, made];
}

/* A result that is no JSON is told to nobody, but what was done is done: its job must not run again for that. */
function eventOf(queue: NativeQueue, head: { id: string; event: string }, data: unknown): string {
  try {
    return JSON.stringify({ ...head, data });
  } catch (error) {
    tellError(queue, error);
    return JSON.stringify(head);
  }
}

const messageOf = (error: unknown): unknown => (error as { message?: unknown }).message;

/* No answer is no refusal. The first that was sent may have been accepted: then the job is as this end leaves it. */
async function answered(ending: Ending, args: readonly (string | number)[]): Promise<boolean> {
  for (let retry = FIRST_RETRY, isRepeated = false; ; retry = Math.min(2 * retry, LAST_RETRY), isRepeated = true) {
    try {
      const verdict = Number(await ending.served.run(finish, args));
      return verdict === 1 || (verdict === 2 && isRepeated);
    } catch (error) {
      if (ending.queue._isClosed || ending.control.givenUp) throw error;
      if (!isRepeated) tellError(ending.queue, error);
      await sleep(retry);
    }
  }
}
