/* Presence for many: one connection subscribes to the channels of many instances. The look counts the subscribers of a
 * channel and does not ask whose connections they are, so to it this is a fleet. What differs from real ones, a
 * subscribed connection for each, costs the server memory, not time of a look. */
import { Redis } from "ioredis";

const CHANNELS_EACH = 1_000;

export class Presence {
  #url;
  #namespace;
  /** @type {Map<string, Redis>} */
  #connections = new Map();

  /** @param {string} url @param {string} namespace */
  constructor(url, namespace) {
    this.#url = url;
    this.#namespace = namespace;
  }

  /** @param {readonly string[]} incarnations */
  async enter(incarnations) {
    for (let first = 0; first < incarnations.length; first += CHANNELS_EACH) {
      const some = incarnations.slice(first, first + CHANNELS_EACH);
      const connection = new Redis(this.#url);
      await connection.subscribe(...some.map((one) => this.#channel(one)));
      for (const one of some) this.#connections.set(one, connection);
    }
  }

  /** As if the process had died. @param {string} incarnation */
  async leave(incarnation) {
    await this.#connections.get(incarnation)?.unsubscribe(this.#channel(incarnation));
    this.#connections.delete(incarnation);
  }

  /* Spelled in core's keys.ts, which is not public. A wrong one here is found out: nobody would be seen to vanish. */
  #channel(/** @type {string} */ incarnation) {
    return `{${this.#namespace}}:presence:${incarnation}`;
  }
}
