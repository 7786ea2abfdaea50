/* What a simulated instance says about itself: the same record, of the same size, as a real one with default settings. */
import { randomBytes, randomUUID } from "node:crypto";

export const BEAT_INTERVAL = 15_000;
export const LEASE = 45_000;

/**
 * @param {string} queueKey
 * @returns {import("@assured-jobs/core").Registration}
 */
export function newRegistration(queueKey) {
  const name = `worker-${randomBytes(5).toString("hex")}-${randomBytes(3).toString("hex")}`;
  return {
    incarnation: `${name}.${randomBytes(8).toString("hex")}`,
    name,
    host: name,
    pid: 1,
    startedAt: Date.now(),
    protocol: 1,
    ttl: LEASE,
    interval: BEAT_INTERVAL,
    grace: 1_000,
    pulse: "thread",
    holders: { [queueKey]: [randomUUID()] },
  };
}
