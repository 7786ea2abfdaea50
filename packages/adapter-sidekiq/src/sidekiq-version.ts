/* Which Sidekiq is beside us, read from what its processes say about themselves. */
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";

/** Sidekiq's processes name their version since 7.0. */
const BEFORE_VERSIONS = 6;

/** Major versions of the Ruby processes that are listed now; our own are left out. */
export async function versionsBeside(redis: Connection, keys: Keys): Promise<readonly number[]> {
  const identities = (await redis.call("SMEMBERS", keys.processes)) as string[];
  const infos = await Promise.all(identities.map((identity) => redis.call("HGET", keys.process(identity), "info")));
  return infos.flatMap((info) => (typeof info === "string" ? majorOf(info) : []));
}

function majorOf(info: string): readonly number[] {
  try {
    const { version } = JSON.parse(info) as { version?: string };
    if (version === undefined) return [BEFORE_VERSIONS];
    const major = Number.parseInt(version, 10);
    return Number.isNaN(major) ? [] : [major];
  } catch {
    return [];
  }
}
