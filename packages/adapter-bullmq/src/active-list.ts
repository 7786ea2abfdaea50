/* Reads the active list, BullMQ's own record of who holds what. Slices are asked for at once, so that the list moves
 * little between them; a job that slips through is met by the next pass. */
import type { QueueKeys } from "./keys.ts";
import { FIELDS, SLICE, scan } from "./scripts/scan.ts";
import type { Script, ScriptArgument } from "./redis.ts";

export interface ActiveJob {
  readonly id: string;
  /** attemptsStarted: the fencing token. */
  readonly run: number;
  /** The token in the lock; undefined when there is no lock. */
  readonly lock: string | undefined;
  readonly name: string;
  readonly priority: number;
  /** Listed as active, but the job itself is gone. */
  readonly phantom: boolean;
}

type Run = (script: Script, args: readonly ScriptArgument[]) => Promise<unknown>;

/** Every active job, newest first. */
export async function readActive(run: Run, keys: QueueKeys): Promise<readonly ActiveJob[]> {
  const slice = (from: number): Promise<unknown> => run(scan, [keys.active, keys.base, from, from + SLICE - 1]);
  const first = replyOf(await slice(0));
  const further: Promise<unknown>[] = [];
  for (let from = SLICE; from < first.length; from += SLICE) further.push(slice(from));
  const jobs = new Map(first.jobs.map((job) => [job.id, job]));
  for (const reply of await Promise.all(further)) {
    for (const job of replyOf(reply).jobs) if (!jobs.has(job.id)) jobs.set(job.id, job);
  }
  return [...jobs.values()];
}

function replyOf(reply: unknown): { length: number; jobs: readonly ActiveJob[] } {
  const [length, ...fields] = reply as [number, ...string[]];
  const jobs: ActiveJob[] = [];
  for (let at = 0; at < fields.length; at += FIELDS) jobs.push(jobOf(fields.slice(at, at + FIELDS)));
  return { length, jobs };
}

function jobOf([id = "", lock = "", run = "", name = "", priority = ""]: readonly string[]): ActiveJob {
  return {
    id,
    run: Number(run),
    lock: lock === "" ? undefined : lock,
    name,
    priority: Number(priority),
    phantom: run === "",
  };
}
