/* The connection that holds the subscription of one incarnation, and comes back flatly.
 *
 * To one server, or through Sentinel, it is a client that reconnects by itself. A Cluster counts the subscribers of a
 * sharded channel on the one node that owns its slot, so there it is a plain connection to that node, found by asking
 * any of them and following MOVED. The sharded subscribers of ioredis do not fit: they break and come back without a
 * word, and in ioredis 5 a slot that moves away takes the subscription with it unnoticed.
 */
import type { Cluster, Redis } from "ioredis";
import type { StoreConnection } from "../adapter.ts";
import { reasonOf } from "../errors.ts";
import { createClient, createNode, Link, RECONNECT_DELAY } from "./link.ts";
import type { Address, ClusterConnection } from "./link.ts";

export interface SubscriberListener {
  /** Connected: subscribe now. */
  readonly ready: () => void;
  readonly closed: () => void;
  readonly heard: (channel: string, message: string) => void;
}

export interface Subscriber {
  connect(): void;
  /** False: the server sent us to another one, and `ready` will come again. */
  subscribe(...channels: string[]): Promise<boolean>;
  /** From the start, e.g. because the answer was an error that passes. */
  reopen(): void;
  /** Resolves when the server knows it, unless it does not answer. Idempotent. */
  close(): Promise<void>;
}

const NAME = "assured-jobs:presence";
/** A slot that moved is told by ioredis 6, and otherwise noticed so soon. Until then the lease decides. */
const CHECK = 5_000;
/** While a slot moves, two nodes may send us to each other. */
const REDIRECT_DELAY = 10;

/** `commands` knows the nodes of a Cluster that are there now. */
export function createSubscriber(
  target: StoreConnection,
  commands: () => Redis | Cluster,
  listener: SubscriberListener,
): Subscriber {
  if (target.kind === "standalone") return new ServerSubscriber(target, listener);
  return new ShardSubscriber(
    target,
    () => (commands() as Cluster).nodes("master").map(({ options }) => options),
    listener,
  );
}

class ServerSubscriber implements Subscriber {
  readonly #link: Link;
  readonly #client: Redis;

  constructor(target: StoreConnection, { ready, closed, heard }: SubscriberListener) {
    this.#link = new Link(createClient(target, NAME));
    this.#client = this.#link.client as Redis;
    this.#client.on("ready", ready).on("close", closed).on("message", heard);
  }

  connect(): void {
    this.#client.connect().catch(() => {}); // it goes on trying; "ready" tells
  }

  async subscribe(...channels: string[]): Promise<boolean> {
    await this.#client.subscribe(...channels);
    return true;
  }

  reopen(): void {
    this.#client.disconnect(true);
  }

  close(): Promise<void> {
    return this.#link.close();
  }
}

class ShardSubscriber implements Subscriber {
  readonly #target: ClusterConnection;
  readonly #nodes: () => readonly Address[];
  readonly #listener: SubscriberListener;
  #link: Link | undefined;
  /** Where the server sent us. */
  #owner: Address | undefined;
  #attempt = 0;
  #timer: NodeJS.Timeout | undefined;
  #check: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(target: ClusterConnection, nodes: () => readonly Address[], listener: SubscriberListener) {
    this.#target = target;
    this.#nodes = nodes;
    this.#listener = listener;
  }

  connect(): void {
    if (this.#closed) return;
    const link = new Link(createNode(this.#target, this.#owner ?? this.#anyNode(), NAME));
    this.#owner = undefined;
    this.#link = link;
    const client = link.client as Redis;
    client.on("ready", this.#listener.ready).on("smessage", this.#listener.heard);
    client.on("moved", () => client.disconnect()); // from the start: somebody knows where the slot is now
    client.on("close", () => {
      clearInterval(this.#check);
      this.#listener.closed();
    });
    client.once("end", () => {
      if (!this.#closed)
        this.#timer = setTimeout(() => this.connect(), this.#owner ? REDIRECT_DELAY : RECONNECT_DELAY).unref();
    });
    client.connect().catch(() => {}); // "end" tells
  }

  async subscribe(...channels: string[]): Promise<boolean> {
    const client = this.#link!.client as Redis;
    try {
      if (!(await this.#isHome(client, channels[0]!))) return false;
      await client.ssubscribe(...channels);
    } catch (error) {
      if (this.#link!.client !== client) return false;
      throw error;
    }
    clearInterval(this.#check);
    this.#check = setInterval(() => this.#confirm(client, channels), CHECK).unref();
    return true;
  }

  reopen(): void {
    this.#link?.client.disconnect();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#check);
    await this.#link?.close();
  }

  /* Those that are there now, or else those that were named at the start; another one with each attempt. */
  #anyNode(): unknown {
    const known = [...this.#nodes(), ...this.#target.nodes];
    return known[this.#attempt++ % known.length];
  }

  /* A channel's slot is that of a key of the same name. A subscription would say it too, but ioredis 5 swallows that. */
  async #isHome(client: Redis, channel: string): Promise<boolean> {
    try {
      await client.type(channel);
    } catch (error) {
      const [word, , address] = reasonOf(error).split(" ");
      if (word !== "MOVED" && word !== "ASK") throw error;
      if (word === "ASK" || address === undefined) return true; // it is on its way, and still here
      this.#owner = this.#mapped(address, client);
      client.disconnect();
      return false;
    }
    return true;
  }

  /* Subscribing again changes nothing where the slot is still at home; elsewhere it makes the client say "moved". */
  #confirm(client: Redis, channels: readonly string[]): void {
    if (client.status === "ready") client.ssubscribe(...channels).catch(() => client.disconnect());
  }

  /* `host:port`; the host may hold colons itself, or be missing, which means the one that answered. */
  #mapped(address: string, { options }: Redis): Address {
    const { natMap } = this.#target.options as {
      natMap?: Record<string, Address> | ((address: string) => Address | null);
    };
    const mapped = typeof natMap === "function" ? natMap(address) : natMap?.[address];
    const at = address.lastIndexOf(":");
    return mapped ?? { host: address.slice(0, at) || options.host, port: Number(address.slice(at + 1)) };
  }
}
