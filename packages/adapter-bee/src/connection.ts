/* How to reach the Redis of a queue, as the default for the store: what the user gave to Bee, in ioredis terms. */
import type { StoreConnection } from "@assured-jobs/core";
import type { NativeQueue } from "./native.ts";

/** The default of redis 3. */
const LOCAL = { host: "127.0.0.1", port: 6379 } as const;

type Options = Readonly<Record<string, unknown>>;

export function connectionOf({ settings }: NativeQueue): StoreConnection {
  const { redis } = settings;
  if (typeof redis === "string") return { kind: "standalone", url: redis, options: {} };
  const given = redis as Options;
  return isClient(given)
    ? fromOptions({ ...(given["options"] as Options), ...(given["connection_options"] as Options) })
    : fromOptions(given);
}

const isClient = (given: Options): boolean => typeof given["internal_send_command"] === "function";

function fromOptions(given: Options): StoreConnection {
  const { url } = given;
  const options = Object.fromEntries(
    NAMES.flatMap(([theirs, ours]) => (given[theirs] === undefined ? [] : [[ours, given[theirs]]])),
  );
  if (typeof url === "string") return { kind: "standalone", url, options };
  return { kind: "standalone", options: options["path"] === undefined ? { ...LOCAL, ...options } : options };
}

/** Names of redis 3, and those of ioredis. A key prefix is left out: the store's keys are its own. */
const NAMES: readonly (readonly [theirs: string, ours: string])[] = [
  ["host", "host"],
  ["port", "port"],
  ["family", "family"],
  ["socket", "path"],
  ["path", "path"],
  ["user", "username"],
  ["username", "username"],
  ["password", "password"],
  ["auth_pass", "password"],
  ["db", "db"],
  ["tls", "tls"],
];
