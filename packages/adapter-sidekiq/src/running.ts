/* Reads the record of runs: what is in flight in a queue, by whom. In slices, because a record may be large. */
import type { Connection } from "./connection.ts";
import { parseProof } from "./proof.ts";

export interface Recorded {
  readonly proof: string;
  readonly holder: string;
  readonly run: number;
  readonly text: string;
}

const SLICE = 500;

/** Runs of these holders, or of all. What we did not write is left out. */
export async function recordedRuns(
  redis: Connection,
  running: string,
  isWanted: (holder: string) => boolean = () => true,
): Promise<readonly Recorded[]> {
  const found = new Map<string, Recorded>();
  for (let cursor = "0", isFirst = true; isFirst || cursor !== "0"; isFirst = false) {
    const [next, fields] = (await redis.call("HSCAN", running, cursor, "COUNT", SLICE)) as [string, string[]];
    cursor = next;
    for (let at = 0; at < fields.length; at += 2) {
      const proof = fields[at]!;
      const parsed = parseProof(proof);
      if (parsed && isWanted(parsed.holder)) found.set(proof, { ...parsed, proof, text: fields[at + 1]! });
    }
  }
  return [...found.values()];
}

/** Proofs of what these holders have. */
export async function proofsOf(
  redis: Connection,
  running: string,
  holders: ReadonlySet<string>,
): Promise<readonly string[]> {
  return (await recordedRuns(redis, running, (holder) => holders.has(holder))).map(({ proof }) => proof);
}
