/* Bee-Queue, whose own stall check nobody calls. */
import { beeQueue } from "../bee/lanes.mjs";

export const { openQueue, openWorker } = beeQueue({ stallCheck: false });
