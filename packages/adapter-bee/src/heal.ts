/* Mends what breaks around a Bee queue, so that it works again without a restart of its process.
 *
 * A Redis that is down when the queue is made: Bee gives up at once and ends the process by an unhandled rejection.
 * Here the queue connects again until it is connected, and who waits for it waits on. Scripts that the server has
 * forgotten: Bee calls them by hash only. Here they are loaded again, and the call is repeated. A stall check with a
 * callback that Redis refuses: Bee tells the callback, and ends the process all the same, by an unhandled rejection. Here
 * the callback is enough. A Redis that was away: reconnect.ts.
 */
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { override } from "@assured-jobs/core/adapter-kit";
import { tellError } from "./native.ts";
import type { NativeClient, NativeQueue } from "./native.ts";
import { keepReconnecting } from "./reconnect.ts";
import { isUnknownScript } from "./redis.ts";

/** ms */
const RETRY = 500;

/** Returns how to undo it. Call it in the turn in which the queue was made, or later. */
export function heal(queue: NativeQueue): () => void {
  keepConnecting(queue);
  const undo = [keepScripts(queue), keepChecking(queue), keepReconnecting(queue)];
  return () => undo.forEach((one) => one());
}

/* Connects on until it is connected. */
function keepConnecting(queue: NativeQueue): void {
  if (queue._isReady || queue._ready === false) return;
  const { handler, concurrency } = queue;
  const first = queue._ready;
  const ready = first.catch(() => connectAgain(queue).then(() => handler && restart(queue, handler, concurrency)));
  queue._ready = ready;
}

async function connectAgain(queue: NativeQueue): Promise<void> {
  const ready = queue._ready;
  while (!queue._isReady && !queue.paused) {
    await sleep(RETRY);
    for (const name of ["client", "bclient", "eclient"] as const) drop(queue, name);
    void queue.connect();
    const attempt = queue._ready;
    queue._ready = ready; // who waits for it now waits for the end of this
    await Promise.resolve(attempt).catch((error: unknown) => tellError(queue, error));
  }
}

function drop(queue: NativeQueue, name: "client" | "bclient" | "eclient"): void {
  const client = queue[name];
  queue[name] = null;
  if (client !== null && client !== queue.settings.redis) client.end(true);
}

/* The loops of process() ended with the first attempt. */
function restart(queue: NativeQueue, handler: NonNullable<NativeQueue["handler"]>, concurrency: number): void {
  queue.handler = undefined;
  queue.process(concurrency, (job) => handler(job));
}

/* A batch is not repeated: Bee tells its caller at once which jobs it could not save. */
function keepScripts(queue: NativeQueue): () => void {
  return override(queue, "_evalScriptOn", (original) => (commandable, args) => {
    const again = [...args]; // Bee changes the list
    const result = original.call(queue, commandable, args);
    const loaded = result.catch((error: unknown) => loadFor(queue, error));
    loaded.catch(() => {});
    if (commandable !== queue.client) return result;
    return result.catch(() => loaded.then(() => original.call(queue, commandable, again)));
  });
}

function keepChecking(queue: NativeQueue): () => void {
  return override(queue, "_checkStalledJobs", (original) => (interval, callback) => {
    const result = original.call(queue, interval, callback);
    if (callback) result.catch(() => {});
    return result;
  });
}

/* Rejects with any other error. */
async function loadFor({ client }: NativeQueue, error: unknown): Promise<void> {
  if (!isUnknownScript(error) || client === null) throw error;
  await scripts().buildCache(client);
}

interface BeeScripts {
  buildCache(client: NativeClient): Promise<unknown>;
}

const scripts = (): BeeScripts => createRequire(import.meta.url)("bee-queue/lib/lua") as BeeScripts;
