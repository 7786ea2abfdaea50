/* Who lives, on Redis. Each method is one script: see ./scripts for why each is safe. */
import { PROTOCOL } from "../instance.ts";
import type { Incarnation, Registration } from "../instance.ts";
import type {
  Beat,
  BeatReply,
  Death,
  DeathCause,
  InstanceRecord,
  Look,
  LookRequest,
  Page,
  PageRequest,
  Registered,
  Roster,
  Suspect,
} from "../store.ts";
import type { FixedKeys, Keys } from "./keys.ts";
import type { Link } from "./link.ts";
import { allParsed, parsed } from "./replies.ts";
import { declare, declareKeys } from "./scripts/declare.ts";
import { setAside } from "./scripts/set-aside.ts";
import { look, lookKeys } from "./scripts/look.ts";
import {
  beat,
  beatKeys,
  forget,
  leave,
  register,
  registerKeys,
  retire,
  retireKeys,
  yieldDuties,
} from "./scripts/membership.ts";

/** How the server counts subscribers: by PUBSUB NUMSUB, SHARDNUMSUB (Cluster from 7), or not at all. */
export type Presence = "NUMSUB" | "SHARDNUMSUB" | "";

const SLICE = 500;
const DEATHS_KEPT = 1_000;
/** Tombstones outlive everything that a dead process could still have sent. */
const TOMBSTONES_KEPT = 30 * 24 * 3_600_000;

export class RedisRoster implements Roster {
  readonly #link: Link;
  readonly #keys: Keys;
  readonly #presence: Presence;

  constructor(link: Link, keys: Keys, presence: Presence) {
    this.#link = link;
    this.#keys = keys;
    this.#presence = presence;
  }

  register(registration: Registration): Promise<Registered> {
    return registerWith(this.#link, this.#keys, this.#presence, registration);
  }

  beat(sign: Beat): Promise<BeatReply> {
    return beatWith(this.#link, this.#keys, sign);
  }

  async leave(incarnation: Incarnation): Promise<void> {
    await this.#link.run("leave", leave, [this.#keys.instances, this.#keys.leaving], [incarnation]);
  }

  async retire(incarnation: Incarnation, mayReturn: boolean = false): Promise<void> {
    const keys = retireKeys.map((name) => {
      if (name === "claims") return this.#keys.claims(incarnation);
      return name === "history" ? this.#keys.history("deaths") : this.#keys[name];
    });
    await this.#link.run("retire", retire, keys, [incarnation, TOMBSTONES_KEPT, DEATHS_KEPT, mayReturn ? 1 : 0]);
  }

  async look(request: LookRequest): Promise<Look> {
    const { by, duties, dutyTtl, interval } = request;
    const keys = [...pick(this.#keys, lookKeys), ...duties.map((duty) => this.#keys.duty(duty))];
    const args = [by, dutyTtl, interval, this.#presence, this.#keys.presencePrefix, PROTOCOL, SLICE, ...duties];
    return toLook((await this.#link.run("look", look, keys, args)) as LookReply);
  }

  async yieldDuties(by: Incarnation, duties: readonly string[]): Promise<void> {
    if (duties.length === 0) return;
    await this.#link.run(
      "yield",
      yieldDuties,
      duties.map((duty) => this.#keys.duty(duty)),
      [by],
    );
  }

  async declare({ incarnation, cause, evidence = "" }: Suspect): Promise<Death | undefined> {
    const keys = declareKeys.map((name) => (name === "history" ? this.#keys.history("deaths") : this.#keys[name]));
    const presence = this.#presence;
    const publish = presence === "SHARDNUMSUB" ? "SPUBLISH" : "PUBLISH";
    const args = [
      incarnation,
      cause,
      presence,
      this.#keys.presencePrefix,
      PROTOCOL,
      publish,
      this.#keys.nudges,
      TOMBSTONES_KEPT,
      DEATHS_KEPT,
      evidence,
    ];
    return parsed<Death>((await this.#link.run("declare", declare, keys, args)) as string | null);
  }

  async dead(): Promise<readonly Death[]> {
    const { dead, malformed } = this.#keys;
    const records = Object.entries(await this.#link.call((client) => client.hgetall(dead)));
    for (const [incarnation, record] of records.filter(([, text]) => !isDeath(parsed<Death>(text)))) {
      await this.#link.run("setAside", setAside, [dead, malformed], [incarnation, record, `dead:${incarnation}`]);
    }
    return allParsed<Death>(records.map(([, record]) => record))
      .filter(isDeath)
      .toSorted((a, b) => a.observed - b.observed);
  }

  async forget(incarnation: Incarnation): Promise<void> {
    const { dead, claimed } = this.#keys;
    await this.#link.run("forget", forget, [dead, claimed, this.#keys.claims(incarnation)], [incarnation]);
  }

  async instances(page: PageRequest): Promise<Page<InstanceRecord>> {
    const from = page.cursor === undefined ? "-" : `(${page.cursor}`;
    const ids = await this.#link.call((client) =>
      client.zrangebylex(this.#keys.roll, from, "+", "LIMIT", 0, page.limit + 1),
    );
    const shown = ids.slice(0, page.limit);
    const items = shown.length === 0 ? [] : await this.#read(shown);
    // By ids: a record that is not there, or cannot be read, must not end the list.
    return ids.length > shown.length ? { items, cursor: shown.at(-1)! } : { items };
  }

  async #read(ids: readonly string[]): Promise<InstanceRecord[]> {
    const { instances, blocked, lates, deadlines, leaving, clock } = this.#keys;
    const replies = await this.#link.call((client) =>
      client
        .multi()
        .hget(clock, "observed")
        .hmget(instances, ...ids)
        .hmget(blocked, ...ids)
        .zmscore(lates, ...ids)
        .zmscore(deadlines, ...ids)
        .smismember(leaving, ...ids)
        .exec(),
    );
    const [observed, registrations, stuck, late, lapse, going] = (replies ?? []).map(([, reply]) => reply) as ReadReply;
    return ids.flatMap((_, i) => {
      const registration = parsed<Registration>(registrations[i]);
      if (!registration) return [];
      const signs = {
        observed: Number(observed ?? 0),
        blocked: stuck[i],
        late: Number(late[i] ?? 0),
        deadline: Number(lapse[i] ?? 0),
        leaving: going[i] === 1,
      };
      return [describe(registration, signs)];
    });
  }
}

/* What is needed of a dead one is what it held. */
const isDeath = (record: Death | undefined): record is Death =>
  typeof record?.registration?.incarnation === "string" &&
  Object.values(record.registration.holders ?? [0]).every((ids) => Array.isArray(ids));

type ReadReply = [string | null, (string | null)[], (string | null)[], (string | null)[], (string | null)[], number[]];

interface Signs {
  readonly observed: number;
  readonly blocked: string | null | undefined;
  readonly late: number;
  readonly deadline: number;
  readonly leaving: boolean;
}

/* Blocked before late: who says "my loop is stuck" beats all the same. */
function describe(registration: Registration, signs: Signs): InstanceRecord {
  const silent = Math.max(0, signs.observed - (signs.deadline - registration.ttl));
  const lastBeat = `last beat ${silent} ms of observed time ago`;
  if (signs.leaving) return { registration, state: "leaving", evidence: `retiring; ${lastBeat}` };
  if (signs.blocked)
    return { registration, state: "blocked", evidence: `event loop stuck for ${signs.blocked} ms at the ${lastBeat}` };
  if (signs.observed >= signs.late) return { registration, state: "late", evidence: `missed a beat; ${lastBeat}` };
  return { registration, state: "alive", evidence: lastBeat };
}

type LookReply = [number, number, number, number, 0 | 1, 0 | 1, number, string[], string[], string[], string[]];

function toLook(reply: LookReply): Look {
  const [observed, population, deaths, changes, distrusted, presence, malformed, held, pairs, late, blocked] = reply;
  const suspects: Suspect[] = [];
  for (let i = 0; i < pairs.length; i += 2)
    suspects.push({ incarnation: pairs[i]!, cause: pairs[i + 1] as DeathCause });
  return {
    observed,
    population,
    deaths,
    changes,
    distrusted: distrusted === 1,
    presence: presence === 1,
    malformed,
    held,
    suspects,
    late,
    blocked,
  };
}

const pick = (keys: FixedKeys, names: readonly (keyof FixedKeys)[]): string[] => names.map((name) => keys[name]);

/** Also used by the pulse, on its own connection. */
export async function registerWith(
  link: Link,
  keys: Keys,
  presence: Presence,
  registration: Registration,
): Promise<Registered> {
  const { incarnation, name, ttl, interval } = registration;
  const args = [incarnation, JSON.stringify(registration), name, ttl, interval, keys.presencePrefix, presence];
  const [accepted, siblings] = (await link.run("register", register, pick(keys, registerKeys), args)) as [
    0 | 1,
    string[]?,
  ];
  return { fenced: accepted === 0, siblings: siblings ?? [] };
}

export async function beatWith(link: Link, keys: Keys, sign: Beat): Promise<BeatReply> {
  const { incarnation, ttl, interval, blockedFor } = sign;
  return (await link.run("beat", beat, pick(keys, beatKeys), [
    incarnation,
    ttl,
    interval,
    Math.round(blockedFor),
  ])) as BeatReply;
}
