/* One BullMQ queue as this process serves it: the user's objects for it, its keys, and what was seen of it.
 *
 * Any of the objects will do for a call, since every call is fenced in Redis; one that is not closing is preferred. */
import { AssuranceError } from "@assured-jobs/core";
import { readActive } from "./active-list.ts";
import type { ActiveJob } from "./active-list.ts";
import { keysOf, queueKey } from "./keys.ts";
import type { QueueKeys } from "./keys.ts";
import type { NativeMember } from "./native.ts";
import { runScript } from "./redis.ts";
import type { Script, ScriptArgument } from "./redis.ts";
import { relock } from "./scripts/relock.ts";
import { Sightings } from "./sightings.ts";

export class ServedQueue {
  readonly key: string;
  readonly keys: QueueKeys;
  readonly sightings: Sightings = new Sightings();
  readonly #members = new Set<NativeMember>();

  constructor(qualifiedName: string) {
    this.key = queueKey(qualifiedName);
    this.keys = keysOf(qualifiedName);
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  get first(): NativeMember | undefined {
    return this.#members.values().next().value;
  }

  join(member: NativeMember): void {
    this.#members.add(member);
  }

  leave(member: NativeMember): void {
    this.#members.delete(member);
  }

  /** An object with an open connection. */
  get member(): NativeMember {
    const open = [...this.#members].filter((member) => member.closed !== true);
    const member = open.find(({ closing }) => closing === undefined) ?? open[0];
    if (member === undefined) throw closed(this.key);
    return member;
  }

  async run(script: Script, args: readonly ScriptArgument[]): Promise<unknown> {
    return runScript(this.member, script, args);
  }

  /** Reads the active list and remembers what it saw. */
  async look(): Promise<readonly ActiveJob[]> {
    const jobs = await readActive((script, args) => this.run(script, args), this.keys);
    this.sightings.remember(jobs);
    return jobs;
  }

  /** True when the run has its lock (again); false when it was given away. */
  async relock(run: { id: string; run: number; proof: string }, duration: number): Promise<boolean> {
    const { keys } = this;
    const where = [keys.job(run.id), keys.lock(run.id), keys.active, keys.stalled];
    return (await this.run(relock, [...where, run.id, run.proof, run.run, duration])) === 1;
  }
}

const closed = (queue: string): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNREACHABLE",
    `All BullMQ objects of ${queue} in this process are closed. Other processes that serve the queue go on with it; add a Worker or Queue to serve it here.`,
  );
