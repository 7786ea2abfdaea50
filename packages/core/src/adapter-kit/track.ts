/* Which jobs are an adapter's to assure. Names as data, not a function: the recovering process is another one, perhaps
 * of another version, and must come to the same answer without loading a payload. */
import { AssuranceError } from "../errors.ts";

/** Names to track, or to leave to the queue's own rules. Without it everything is tracked. */
export type Track = { readonly only: readonly string[] } | { readonly except: readonly string[] };

export type IsTracked = (name: string) => boolean;

/** `adapter` and `names` are for messages: the function that has this option, and what is named, e.g. `job names`. */
export function tracking(track: Track | undefined, adapter: string, names: string): IsTracked {
  if (track === undefined) return () => true;
  const only = namesIn(track, "only");
  const except = namesIn(track, "except");
  if (only !== undefined && except === undefined) return (name) => only.has(name);
  if (except !== undefined && only === undefined) return (name) => !except.has(name);
  throw wrong("exactly one of only and except", track);

  function namesIn(given: Track, key: "only" | "except"): ReadonlySet<string> | undefined {
    const list: unknown = Reflect.get(Object(given), key);
    if (list === undefined) return undefined;
    if (!Array.isArray(list) || list.some((name) => typeof name !== "string")) throw wrong(`a list of ${names}`, list);
    return new Set<string>(list);
  }

  function wrong(expected: string, got: unknown): AssuranceError {
    return new AssuranceError(
      "ERR_OPTION",
      `${adapter}: track must be { only: [...] } or { except: [...] }: expected ${expected}, got ${JSON.stringify(got)}.`,
    );
  }
}
