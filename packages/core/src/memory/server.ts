/* The "server" that several memoryStore() handles share, so that one test can play several processes.
 *
 * It fails like a real one: while it is down every call is refused and all subscriptions are gone, a restart
 * gives it another run id, and it may lose its records. Its clock belongs to the test.
 */
import { randomUUID } from "node:crypto";
import { AssuranceError } from "../errors.ts";
import type { Incarnation } from "../instance.ts";
import { Records } from "./records.ts";

/** What the server sends to a subscription: you were declared dead; there are deaths to look at. */
export type Notice = "fenced" | "nudge";

/** The process at the other end of a subscription. */
export interface Subscriber {
  notice(notice: Notice): void;
  /** The server went away, and the subscription with it. */
  dropped(): void;
  /** The server can be reached again; the subscription is still closed. */
  restored(): void;
}

/** Presence of one incarnation, from open() until close(), or until the server goes away. */
export interface Subscription {
  readonly isOpen: boolean;
  /** Nothing happens while the server is down. */
  open(): void;
  /** For good. */
  close(): void;
}

interface Channel {
  readonly namespace: string;
  readonly incarnation: Incarnation;
  readonly subscriber: Subscriber | undefined;
  open: boolean;
}

/** Options of memoryServer(). */
export interface MemoryServerOptions {
  /** The server's clock in ms; `Date.now` by default. */
  readonly now?: () => number;
}

/** A store server in memory. Make one with memoryServer(), and give it to several memoryStore() handles. */
export class MemoryServer {
  readonly now: () => number;
  readonly #records = new Map<string, Records>();
  readonly #channels = new Set<Channel>();
  #runId: string = randomUUID();
  #up = true;

  constructor(options: MemoryServerOptions) {
    this.now = options.now ?? Date.now;
  }

  /** Changes with each start. */
  get runId(): string {
    return this.#runId;
  }

  /** Every call is refused and every subscription dropped, until start(). */
  stop(): void {
    this.#up = false;
    for (const channel of this.#channels) {
      channel.open = false;
      channel.subscriber?.dropped();
    }
  }

  /** Comes back as another run, with the records that it had. */
  start(): void {
    this.#up = true;
    this.#runId = randomUUID();
    for (const channel of this.#channels) channel.subscriber?.restored();
  }

  /** Loses all records, as after FLUSHALL or a start from an empty disk. */
  wipe(): void {
    this.#records.clear();
  }

  /** The records of a namespace. Throws ERR_STORE_UNREACHABLE while the server is down. */
  records(namespace: string): Records {
    if (!this.#up) throw new AssuranceError("ERR_STORE_UNREACHABLE", "the memory server is stopped: start() it");
    const known = this.#records.get(namespace) ?? new Records();
    this.#records.set(namespace, known);
    return known;
  }

  /** A subscription for an incarnation, still closed. */
  subscribe(namespace: string, incarnation: Incarnation, subscriber?: Subscriber): Subscription {
    const channel: Channel = { namespace, incarnation, subscriber, open: false };
    this.#channels.add(channel);
    return {
      get isOpen() {
        return channel.open;
      },
      open: () => void (channel.open = this.#up && this.#channels.has(channel)),
      close: () => {
        channel.open = false;
        this.#channels.delete(channel);
      },
    };
  }

  present(namespace: string, incarnation: Incarnation): boolean {
    return this.#open(namespace).some((channel) => channel.incarnation === incarnation);
  }

  /** Tells the dead one that it is fenced, and everybody else who is present that there was a death. */
  announce(namespace: string, dead: Incarnation): void {
    for (const { incarnation, subscriber } of this.#open(namespace)) {
      queueMicrotask(() => subscriber?.notice(incarnation === dead ? "fenced" : "nudge"));
    }
  }

  #open(namespace: string): Channel[] {
    return [...this.#channels].filter((channel) => channel.open && channel.namespace === namespace);
  }
}
