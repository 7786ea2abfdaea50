/* Runs that began before attach(): BullMQ's workers fetch from the moment they are made.
 *
 * Their job objects are out of reach, so they are reported by what BullMQ's lock manager and the queue say, and end
 * for us when the lock manager has let go and the queue no longer lists the run as theirs.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { AdapterHost, Run, RunControl } from "@assured-jobs/core";
import { reasonOf } from "@assured-jobs/core/adapter-kit";
import type { Runs } from "./runs.ts";
import { inspect } from "./scripts/inspect.ts";
import type { ServedQueue } from "./served-queue.ts";
import type { IsTracked } from "@assured-jobs/core/adapter-kit";
import type { WorkerHook } from "./worker-hook.ts";

const LOOK_EVERY = 100;

interface Audience {
  readonly host: AdapterHost;
  readonly isTracked: IsTracked;
}

/** Resolves when each of them was reported; never rejects. */
export async function reportStarted(hook: WorkerHook, runs: Runs, { host, isTracked }: Audience): Promise<void> {
  const started = [...hook.worker.lockManager.trackedJobs].map(([id, { token }]) => ({ id, token }));
  try {
    const found = await Promise.all(started.map(({ id, token }) => runOf(hook.queue, id, token)));
    for (const run of found) {
      if (run === undefined || !isTracked(run.name ?? "")) continue;
      const work = host.run(run, (control) => untilEnded(hook, run, control));
      const close = (): void => runs.close(run);
      runs.open(run, work);
      work.then(close, close);
    }
  } catch (error) {
    host.warn(
      `${started.length} jobs of ${hook.queue.key} that already ran when assurance started are not shown: ${reasonOf(error)}`,
    );
  }
}

/* Undefined when the run has ended by now. */
async function runOf(queue: ServedQueue, id: string, token: string): Promise<Run | undefined> {
  const { keys } = queue;
  const reply = await queue.run(inspect, [keys.job(id), keys.lock(id), keys.failed, id]);
  const [lock, run, name] = reply as [string, string, string];
  return lock === token ? { queue: queue.key, id, run: Number(run), name, proof: token } : undefined;
}

async function untilEnded(hook: WorkerHook, run: Run, control: RunControl): Promise<void> {
  control.onGivenUp((reason) => void hook.giveUpStarted(run, reason));
  while (hook.isAttached && (await goesOn(hook, run))) await sleep(LOOK_EVERY, undefined, { ref: false });
}

async function goesOn(hook: WorkerHook, run: Run): Promise<boolean> {
  if (hook.worker.lockManager.trackedJobs.get(run.id)?.token === run.proof) return true;
  const now = await runOf(hook.queue, run.id, run.proof).catch(() => undefined);
  return now?.run === run.run;
}
