/* Bee-Queue with its own stall check on in every worker, as often as it can be. */
import { beeQueue } from "../bee/lanes.mjs";

export const { openQueue, openWorker } = beeQueue({ stallCheck: true });
