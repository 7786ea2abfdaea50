/* One Bee queue as this process serves it: the user's objects for it, its keys, and what was seen of it.
 *
 * Any of the objects will do for a call, since every call is fenced in Redis; one that is not closing is preferred. */
import { AssuranceError } from "@assured-jobs/core";
import { withinDeadline } from "@assured-jobs/core/adapter-kit";
import { keysOf, queueKey } from "./keys.ts";
import type { Keys } from "./keys.ts";
import type { NativeQueue } from "./native.ts";
import { runScript, send } from "./redis.ts";
import type { Argument, Script } from "./redis.ts";
import { Sightings } from "./sightings.ts";

export class ServedQueue {
  readonly key: string;
  readonly keys: Keys;
  readonly sightings: Sightings = new Sightings();
  readonly #members = new Set<NativeQueue>();

  constructor(first: NativeQueue) {
    this.key = queueKey(first);
    this.keys = keysOf(first);
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  get first(): NativeQueue | undefined {
    return this.#members.values().next().value;
  }

  join(member: NativeQueue): void {
    this.#members.add(member);
  }

  leave(member: NativeQueue): void {
    this.#members.delete(member);
  }

  /** An object with an open connection. */
  get member(): NativeQueue {
    const open = [...this.#members].filter((member) => !member._isClosed);
    const member = open.find(({ paused }) => !paused) ?? open[0];
    if (member === undefined) throw closed(this.key);
    return member;
  }

  async run(script: Script, args: readonly Argument[]): Promise<unknown> {
    const { client } = this.member;
    return client === null
      ? this.#once((ready) => this.#runOn(ready, script, args))
      : this.#runOn(client, script, args);
  }

  async ask(command: string, args: readonly Argument[]): Promise<unknown> {
    return this.#once((client) => send(client, command, args));
  }

  #runOn(client: Client, script: Script, args: readonly Argument[]): Promise<unknown> {
    return runScript(this.key, client, script, args);
  }

  /* A queue that is still connecting is waited for, within the deadline. */
  #once(act: (client: Client) => Promise<unknown>): Promise<unknown> {
    const { member } = this;
    const connected = async (): Promise<unknown> => {
      await member._ready;
      if (member.client === null) throw unconnected(this.key);
      return act(member.client);
    };
    return withinDeadline(this.key, connected());
  }
}

type Client = NonNullable<NativeQueue["client"]>;

const unconnected = (queue: string): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNREACHABLE",
    `The Queue object of ${queue} is not connected: call its connect() first.`,
  );

const closed = (queue: string): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNREACHABLE",
    `All Bee objects of ${queue} in this process are closed. Other processes that serve the queue go on with it; add a Queue to serve it here.`,
  );
