/* The way of some jobs through the middleware to the store, which takes them together.
 *
 * A job that calls its last `next` stands at the door and waits there. Once all have arrived or turned back, those at the
 * door are stored at once, and only then their `next` resolves, or rejects with what went wrong: so whoever took a lock
 * for a job knows whether the job exists. A middleware that throws lets nobody in.
 */
import { AssuranceError } from "@assured-jobs/core";
import type { ClientJob, ClientMiddleware } from "./types.ts";

/** Stores those that no middleware stopped, and answers which these were. Rejects when none of them was stored. */
export async function storeThrough<J extends ClientJob>(
  middleware: readonly ClientMiddleware[],
  jobs: readonly J[],
  store: (jobs: readonly J[]) => Promise<void>,
): Promise<ReadonlySet<J>> {
  if (middleware.length === 0) {
    if (jobs.length > 0) await store(jobs);
    return new Set(jobs);
  }
  const admitted = new Set<J>();
  const stored = settlement();
  const walks: Promise<void>[] = [];
  try {
    for (const job of jobs) {
      const { arrived, walk } = start(middleware, job, stored.settled);
      walks.push(walk);
      if (await arrived) admitted.add(job);
    }
    if (admitted.size > 0) await store([...admitted]);
    stored.resolve();
  } catch (error) {
    stored.reject(error);
    await Promise.allSettled(walks);
    throw error;
  }
  await Promise.all(walks); // what is thrown behind next() is the caller's as well
  return admitted;
}

/* `arrived`: true at the door, false when it was stopped; rejects with what a middleware threw before. */
function start(
  middleware: readonly ClientMiddleware[],
  job: ClientJob,
  stored: Promise<void>,
): { arrived: Promise<boolean>; walk: Promise<void> } {
  const door = settlement();
  let isStopped = false;
  const walk = walkThrough(middleware, job, () => {
    if (isStopped) throw misused("was called after the middleware had returned: await it");
    door.resolve();
    return stored;
  });
  const stopped = walk.then(() => {
    isStopped = true;
    return false;
  });
  return { arrived: Promise.race([door.settled.then(() => true), stopped]), walk };
}

async function walkThrough(
  [first, ...rest]: readonly ClientMiddleware[],
  job: ClientJob,
  end: () => Promise<void>,
): Promise<void> {
  if (!first) return end();
  let isCalled = false;
  const next = async (): Promise<void> => {
    if (isCalled) throw misused("was called twice");
    isCalled = true;
    await walkThrough(rest, job, end);
  };
  await first(job, () => handled(next()));
}

/* A `next` that nobody awaited must not end the process: push itself rejects with the same error. */
function handled(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}

function settlement(): { settled: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve = (): void => {};
  let reject: (error: unknown) => void = resolve;
  const settled = new Promise<void>((yes, no) => ([resolve, reject] = [yes, no]));
  return { settled: handled(settled), resolve, reject };
}

const misused = (how: string): AssuranceError => new AssuranceError("ERR_STATE", `A client middleware: next() ${how}.`);
