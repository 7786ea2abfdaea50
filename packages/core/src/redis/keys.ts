/* The only place where a key or a channel is spelled.
 *
 * All of them carry the same hash tag, {namespace}, so that every script finds its keys in one slot of a Cluster.
 * A namespace is checked to hold no brace; names of queues are percent-encoded, so that a queue `a:b` with a job `c`
 * and a queue `a` with a job `b:c` never share a key.
 */
import { AssuranceError } from "../errors.ts";
import type { Incarnation } from "../instance.ts";
import type { HistoryKind } from "../store.ts";

export interface FixedKeys {
  /** HASH observed, pass (store's clock of the last look), deaths, changes, cursor, quarantined. */
  readonly clock: string;
  /** HASH incarnation -> registration (JSON). */
  readonly instances: string;
  /** ZSET incarnation, all of score 0: the same set in a stable order, to page through. */
  readonly roll: string;
  /** ZSET incarnation -> observed time at which its lease lapses. */
  readonly deadlines: string;
  /** ZSET incarnation -> observed time from which it counts as late. */
  readonly lates: string;
  /** HASH incarnation -> ms for which its event loop was stuck at its last beat. */
  readonly blocked: string;
  /** HASH incarnation -> run_id of the server that saw it present. */
  readonly seen: string;
  /** HASH incarnation -> `<observed time since>:<looks>`. */
  readonly absent: string;
  /** HASH name -> incarnations of that name, oldest first, separated by spaces. */
  readonly names: string;
  /** SET of incarnations that began to retire. */
  readonly leaving: string;
  /** ZSET incarnation -> observed time of its death or retirement. */
  readonly tombstones: string;
  /** HASH incarnation -> death (JSON). */
  readonly dead: string;
  /** HASH of records that could not be read, as they were found. */
  readonly malformed: string;
  /** HASH incarnation -> number of its claims. */
  readonly claimed: string;
  /** HASH queue -> number of its open cases. */
  readonly pending: string;
  /** HASH [queue, id] -> quarantine record (JSON), and ZSET of the same fields by order of burial. */
  readonly quarantine: string;
  readonly quarantineOrder: string;
}

export interface Keys extends FixedKeys {
  /** STRING incarnation that holds the duty, PX. */
  duty(duty: string): string;
  /** HASH [queue, id] -> claim (JSON). */
  claims(incarnation: Incarnation): string;
  /** HASH job id -> open case (JSON). */
  cases(queue: string): string;
  /** ZSET `<run> <holder> <job id>` -> time at which that case was closed; PX, only against late openings. */
  settled(queue: string): string;
  /** ZSET incarnation -> time of the death that it took part in; PX window. */
  budget(queue: string, id: string): string;
  /** SETs of one death, PX window: [queue, id] of the suspects in flight at it; queues that were looked through. */
  suspected(dead: Incarnation): string;
  surveyed(dead: Incarnation): string;
  /** STRING id of the suspect that is out, and ZSET of the parked ones by time. */
  suspectOut(queue: string): string;
  suspectsParked(queue: string): string;
  /** STREAM of events (JSON in field `e`). */
  history(kind: HistoryKind): string;
  /** Channels. An incarnation's own one, without its name: presence, and the word that it is fenced. */
  readonly presencePrefix: string;
  presence(incarnation: Incarnation): string;
  readonly nudges: string;
}

const NAMESPACE = /^[A-Za-z0-9_.:-]{1,64}$/;

export function keysOf(namespace: string): Keys {
  if (typeof namespace !== "string" || !NAMESPACE.test(namespace)) {
    throw new AssuranceError(
      "ERR_OPTION",
      `namespace: expected 1 to 64 letters, digits or _ . : -, got ${JSON.stringify(namespace)}`,
    );
  }
  const key = (...parts: string[]): string => `{${namespace}}:${parts.join(":")}`;
  const per =
    (kind: string) =>
    (queue: string): string =>
      key(kind, encodeURIComponent(queue));
  return {
    ...fixedKeys(key),
    duty: per("duty"),
    claims: (incarnation) => key("claims", incarnation),
    cases: per("cases"),
    settled: per("settled"),
    budget: (queue, id) => key("budget", encodeURIComponent(queue), id),
    suspected: (dead) => key("suspected", dead),
    surveyed: (dead) => key("surveyed", dead),
    suspectOut: per("suspect-out"),
    suspectsParked: per("suspects-parked"),
    history: (kind) => key("history", kind),
    presencePrefix: key("presence", ""),
    presence: (incarnation) => key("presence", incarnation),
    nudges: key("nudges"),
  };
}

function fixedKeys(key: (...parts: string[]) => string): FixedKeys {
  return {
    clock: key("clock"),
    instances: key("instances"),
    roll: key("roll"),
    deadlines: key("deadlines"),
    lates: key("lates"),
    blocked: key("blocked"),
    seen: key("seen"),
    absent: key("absent"),
    names: key("names"),
    leaving: key("leaving"),
    tombstones: key("tombstones"),
    dead: key("dead"),
    malformed: key("malformed"),
    claimed: key("claimed"),
    pending: key("pending"),
    quarantine: key("quarantine"),
    quarantineOrder: key("quarantine-order"),
  };
}
