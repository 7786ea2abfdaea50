/* A queue whose Redis was away works again within a second of its return, however long that took.
 *
 * redis 3 waits 1.7 times longer after each attempt: after ten minutes away a worker may stay idle for seven more, and
 * after an hour it gives up, while its process lives and beats. Here the wait grows to a second at most, and there is no
 * end to it. Who gave a `retry_strategy`, or a `connect_timeout`, has said how it shall be: both are kept.
 *
 * A server that takes the connection and refuses the first question (it is busy with a script, or has another password
 * for a while) is never asked again by redis 3. Here the connection is dropped, so that it begins anew.
 */
import type { NativeClient, NativeQueue } from "./native.ts";

/** ms */
const LONGEST_WAIT = 1_000;

/** Returns how to undo it. Each queue of a shared client asks for itself. */
export function keepReconnecting(queue: NativeQueue): () => void {
  let clients: readonly NativeClient[] = [];
  const leave = (): void => {
    for (const client of clients) {
      client.removeListener("reconnecting", shortenWait);
      client.removeListener("error", beginAnew);
    }
  };
  const take = (): void => {
    leave();
    clients = [queue.client, queue.bclient, queue.eclient].filter((client) => client !== null);
    for (const client of clients) {
      client.on("reconnecting", shortenWait);
      client.on("error", beginAnew);
    }
  };
  if (queue._isReady) take();
  queue.on("ready", take);
  return () => {
    queue.removeListener("ready", take);
    leave();
  };
}

/* Told before each attempt, and before the wait for the next one is computed. */
function shortenWait(this: NativeClient): void {
  const { retry_strategy: strategy, connect_timeout: timeout } = this.options;
  if (strategy) return;
  this.retry_backoff = Math.min(this.retry_backoff, LONGEST_WAIT / this.retry_delay);
  if (!timeout) this.retry_totaltime = 0;
}

function beginAnew(this: NativeClient, { message }: Error): void {
  if (!message.startsWith("Ready check failed")) return;
  const drop = (): void => {
    if (this.connected && !this.ready) this.stream.destroy();
  };
  setTimeout(drop, LONGEST_WAIT).unref();
}
