/* Sandboxed processors run in a child process, and the child outlives its parent: after a SIGKILL of the parent it
 * works on while the job already runs elsewhere. The guard makes the child end with its parent: a thread watches for
 * the parent to change, so that it works also when the processor keeps the event loop busy. */
import type { NativeWorker } from "./native.ts";

const WATCH = `
const { workerData } = require("node:worker_threads");
setInterval(() => { if (process.ppid !== workerData) process.kill(process.pid, "SIGKILL"); }, 250);`;

const GUARD = `
import { Worker, isMainThread } from "node:worker_threads";
if (isMainThread && process.connected) {
  new Worker(${JSON.stringify(WATCH)}, { eval: true, execArgv: [], workerData: process.ppid }).unref();
}`;

const GUARD_URL: string = `data:text/javascript,${encodeURIComponent(GUARD)}`;

/**
 * Fork options for a worker with a sandboxed processor, so that its children do not outlive it:
 * `new Worker(name, file, { connection, workerForkOptions: sandboxGuard() })`.
 * Not needed with `useWorkerThreads`: threads end with their process.
 */
export function sandboxGuard(): { execArgv: string[] } {
  const inherited = process.execArgv.filter((flag) => !flag.startsWith("--inspect"));
  return { execArgv: [...inherited, "--import", GUARD_URL] };
}

/** False for a worker whose children would outlive it. */
export function isGuarded({ childPool, opts }: NativeWorker): boolean {
  if (childPool === undefined || opts.useWorkerThreads === true) return true;
  return opts.workerForkOptions?.execArgv?.includes(GUARD_URL) === true;
}

export const unguarded = (queue: string): string =>
  `A worker of ${queue} runs its processor in child processes that outlive it: after a crash a job can run twice at the same time. Give it workerForkOptions: sandboxGuard(), or useWorkerThreads: true.`;
