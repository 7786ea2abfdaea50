/* Identity: who a process is, and who it is this time.
 *
 * A name may repeat (a pod name, a host); an incarnation never does. Everything that fences compares
 * incarnations, so a process that comes back under its old name can never be taken for its former self.
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

/** Version of the records in the store. A judge that meets another number trusts the lease only. */
export const PROTOCOL = 1;

/** One life of one instance: `<readable part of the name>.<16 hex digits>`. Safe inside any key or channel. */
export type Incarnation = string;

/** What an incarnation writes about itself when it registers. Durations in milliseconds. */
export interface Registration {
  readonly incarnation: Incarnation;
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  /** Wall clock of the process, for people to read; nothing is decided by it. */
  readonly startedAt: number;
  readonly protocol: number;
  /** The lease: how much observed time may pass after a beat until it lapses. */
  readonly ttl: number;
  readonly interval: number;
  /** How much observed time an absence must last before it counts as a death. */
  readonly grace: number;
  /**
   * Where the beats come from. `main`: a blocked event loop stops them, so a lapse alone is weaker evidence. `guest`: from
   * whoever reads the books of its queue; it has no pulse of its own.
   */
  readonly pulse: "thread" | "main" | "guest";
  /** For each queue key, the ids under which the queue's own record knows this incarnation. */
  readonly holders: Readonly<Record<string, readonly string[]>>;
}

const READABLE = 40;

/** A new incarnation of `name`. */
export function newIncarnation(name: string): Incarnation {
  const readable = name.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, READABLE);
  return `${readable}.${randomBytes(8).toString("hex")}`;
}

/** Host name, and the index among siblings where a process manager gives one (pm2, node cluster). */
export function defaultName(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const sibling = env["NODE_APP_INSTANCE"] ?? env["NODE_UNIQUE_ID"];
  return sibling === undefined ? hostname() : `${hostname()}-${sibling}`;
}
