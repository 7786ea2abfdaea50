/* What fleets of some sizes cost their Redis when nothing happens, and how long a look at them takes. */
import { onServer } from "../server.mjs";
import { Table } from "../table.mjs";
import { measureFleet } from "./measure.mjs";

const HEAD = ["instances", "look p50 ms", "look p99 ms", "Redis CPU %", "beats/s", "bytes each", "bytes a claim"];
/** Of a Redis with default settings. */
const MAX_CLIENTS = 10_000;

/**
 * @param {{ queue: string, instances: number[], seconds: number }} options
 * @param {import("../table.mjs").Say} say
 */
export async function fleet({ queue, instances, seconds }, say) {
  const table = new Table(say, HEAD);
  const rows = [];
  for (const size of instances) {
    const row = await onServer((server) => measureFleet(server, { queue, size, seconds }));
    const { lookP50Ms, sweepP99Ms, redisCpuPercent, beatsPerSecond, bytesPerInstance, claimBytes } = row;
    table.row([size, lookP50Ms, sweepP99Ms, redisCpuPercent, beatsPerSecond, bytesPerInstance, claimBytes]);
    rows.push(row);
  }
  const connections = rows[0]?.connectionsPerInstance ?? 0;
  say(`An instance has ${connections} connections of its own, beside those of its queue: with more than`);
  say(
    `${Math.floor(MAX_CLIENTS / connections)} instances Redis needs a higher maxclients than its default of ${MAX_CLIENTS}.`,
  );
  return { fleet: rows };
}
