/* The way of one handle to the server: the only place where a call can fail for want of a server.
 *
 * A call acts in one step and at once, so it is atomic, and it is never kept for later. What it returns is a copy:
 * nobody changes the server's records but through a method.
 */
import { AssuranceError } from "../errors.ts";
import type { Incarnation } from "../instance.ts";
import type { Records } from "./records.ts";
import type { MemoryServer, Subscriber, Subscription } from "./server.ts";

export class Link {
  readonly namespace: string;
  readonly #server: MemoryServer;
  #closed = false;

  constructor(server: MemoryServer, namespace: string) {
    this.#server = server;
    this.namespace = namespace;
  }

  get now(): number {
    return this.#server.now();
  }

  get runId(): string {
    return this.#server.runId;
  }

  async call<T>(act: (records: Records) => T): Promise<T> {
    this.#checkOpen();
    return structuredClone(act(this.#server.records(this.namespace)));
  }

  subscribe(incarnation: Incarnation, subscriber: Subscriber): Subscription {
    this.#checkOpen();
    return this.#server.subscribe(this.namespace, incarnation, subscriber);
  }

  present(incarnation: Incarnation): boolean {
    return this.#server.present(this.namespace, incarnation);
  }

  announce(dead: Incarnation): void {
    this.#server.announce(this.namespace, dead);
  }

  close(): void {
    this.#closed = true;
  }

  #checkOpen(): void {
    if (this.#closed) throw new AssuranceError("ERR_STORE_UNREACHABLE", "this store was closed: make another one");
  }
}
