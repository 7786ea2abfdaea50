/* What a server must offer, asked once at the start, so that a wrong one is a clear sentence and not a riddle later. */
import { AssuranceError } from "../errors.ts";
import type { HistoryKind, StoreReport } from "../store.ts";
import type { FixedKeys, Keys } from "./keys.ts";
import type { Link } from "./link.ts";
import { beatWith } from "./roster.ts";
import type { Presence } from "./roster.ts";

const OLDEST = [6, 2];
const UNKNOWN = "unknown (INFO is refused)";
const TYPES: Record<keyof FixedKeys, string> = {
  clock: "hash",
  instances: "hash",
  roll: "zset",
  deadlines: "zset",
  lates: "zset",
  blocked: "hash",
  seen: "hash",
  absent: "hash",
  names: "hash",
  leaving: "set",
  tombstones: "zset",
  dead: "hash",
  malformed: "hash",
  claimed: "hash",
  pending: "hash",
  quarantine: "hash",
  quarantineOrder: "zset",
};
const HISTORIES: readonly HistoryKind[] = ["deaths", "recoveries", "actions"];

export async function checkServer(link: Link, keys: Keys, presence: Presence): Promise<StoreReport> {
  const info = await readInfo(link);
  if (info) checkVersion(info); // first: what an old server does with our scripts is anybody's guess
  await checkKeys(link, keys);
  await checkScripts(link, keys);
  if (info === undefined) {
    if (presence === "") return { server: UNKNOWN, warnings: [] };
    return {
      server: UNKNOWN,
      warnings: [
        "INFO is refused to this user, so presence is off and deaths are noticed by the lease alone (45 s by default). Allow +info to notice them within about a second.",
      ],
    };
  }
  return {
    server: `${info.get("server_name") ?? "redis"} ${info.get("valkey_version") ?? info.get("redis_version")}`,
    warnings: warningsFor(info, presence),
  };
}

/* A beat of somebody unknown changes nothing, but needs everything: scripts, our keys, each kind of command. */
async function checkScripts(link: Link, keys: Keys): Promise<void> {
  await beatWith(link, keys, { incarnation: "nobody", ttl: 1, interval: 1, blockedFor: 0 });
}

async function checkKeys(link: Link, keys: Keys): Promise<void> {
  const expected = [
    ...(Object.keys(TYPES) as (keyof FixedKeys)[]).map((name) => [keys[name], TYPES[name]] as const),
    ...HISTORIES.map((kind) => [keys.history(kind), "stream"] as const),
  ];
  const found = await link.call((client) => Promise.all(expected.map(([key]) => client.type(key))));
  expected.forEach(([key, type], i) => {
    if (found[i] === "none" || found[i] === type) return;
    throw new AssuranceError(
      "ERR_STORE_FOREIGN_DATA",
      `The key ${key} holds a ${found[i]} that Assured Jobs did not write (expected a ${type}). Choose another namespace, or remove that key.`,
    );
  });
}

async function readInfo(link: Link): Promise<Map<string, string> | undefined> {
  try {
    const text = await link.call((client) => client.info());
    return new Map(
      text
        .split(/\r?\n/)
        .filter((line) => line.includes(":"))
        .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
    );
  } catch (error) {
    if (error instanceof AssuranceError && error.code === "ERR_STORE_FORBIDDEN") return undefined;
    throw error;
  }
}

function checkVersion(info: Map<string, string>): void {
  const version = info.get("redis_version") ?? "0";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new AssuranceError(
    "ERR_STORE_UNSUITED",
    `The store needs Redis 6.2 or newer (or Valkey), and this server says ${version}. Upgrade it, or give another one with store: redisStore({ url }).`,
  );
}

function warningsFor(info: Map<string, string>, presence: Presence): string[] {
  const warnings: string[] = [];
  const policy = info.get("maxmemory_policy") ?? "noeviction";
  if (policy !== "noeviction") {
    warnings.push(
      `maxmemory-policy is ${policy}: under memory pressure Redis may evict jobs and our records with them. Set it to noeviction.`,
    );
  }
  const major = Number((info.get("redis_version") ?? "0").split(".")[0]);
  if (presence === "SHARDNUMSUB" && major < 7 && !info.has("valkey_version")) {
    warnings.push(
      "A Cluster below Redis 7 has no sharded pub/sub, so presence is off and deaths are noticed by the lease alone (45 s by default).",
    );
  }
  if (info.get("role") === "slave")
    warnings.push("This server is a replica. Connect to the primary: a replica refuses the beats.");
  return warnings;
}
