/* The wait for the next job is a BLMOVE, which Redis has had since 6.2. */
import { AssuranceError } from "@assured-jobs/core";
import type { AdapterHost } from "@assured-jobs/core";
import { reasonOf } from "@assured-jobs/core/adapter-kit";
import type { NativeQueue } from "./native.ts";

/** Throws ERR_QUEUE_UNSUPPORTED for a server that is too old; one that is not connected yet is only warned about, later. */
export function checkServer(queue: NativeQueue, host: AdapterHost): void {
  if (queue._isReady) return check(queue);
  const later = (): void => {
    try {
      check(queue);
    } catch (error) {
      host.warn(reasonOf(error));
    }
  };
  Promise.resolve(queue._ready).then(later, () => {}); // it tells its own errors
}

function check({ name, client }: NativeQueue): void {
  const version = client?.server_info?.redis_version;
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
  if (version === undefined || major > 6 || (major === 6 && minor >= 2)) return;
  throw new AssuranceError(
    "ERR_QUEUE_UNSUPPORTED",
    `The Redis of queue "${name}" is ${version}; beeAdapter needs 6.2 or newer (BLMOVE). Upgrade the server.`,
  );
}
