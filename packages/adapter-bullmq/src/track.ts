/* Which jobs are ours. Names as data, not a function: the recovering process is another one, perhaps of another
 * version, and must come to the same answer without loading a payload. */
import { AssuranceError } from "@assured-jobs/core";

/** Job names to track, or to leave to BullMQ's own rules. Without it every job is tracked. */
export type Track = { readonly only: readonly string[] } | { readonly except: readonly string[] };

export type IsTracked = (name: string) => boolean;

export function tracking(track: Track | undefined): IsTracked {
  if (track === undefined) return () => true;
  const only = namesOf(track, "only");
  const except = namesOf(track, "except");
  if (only !== undefined && except === undefined) return (name) => only.has(name);
  if (except !== undefined && only === undefined) return (name) => !except.has(name);
  throw wrong("exactly one of only and except", track);
}

function namesOf(track: Track, key: "only" | "except"): ReadonlySet<string> | undefined {
  const names: unknown = Reflect.get(Object(track), key);
  if (names === undefined) return undefined;
  if (!Array.isArray(names) || names.some((name) => typeof name !== "string"))
    throw wrong("a list of job names", names);
  return new Set<string>(names);
}

const wrong = (expected: string, got: unknown): AssuranceError =>
  new AssuranceError(
    "ERR_OPTION",
    `bullmqAdapter: track must be { only: [...] } or { except: [...] }: expected ${expected}, got ${JSON.stringify(got)}.`,
  );
