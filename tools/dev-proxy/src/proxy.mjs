/* Where connections come in, and the weather that all of them share.
 *
 * The port lies below those that the system gives away by itself, so that nobody gets it while the path is cut: no
 * server that asks for a free port, and no client as its own end, which on loopback would then talk to itself.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import { Connection } from "./connection.mjs";

const PORTS = { from: 20_000, to: 32_000 };
const ATTEMPTS = 50;

export async function startProxy({ target }) {
  const path = new Path(target);
  await path.open();
  return path;
}

class Path {
  #target;
  #server;
  #port;
  #connections = new Set();
  #weather = fair();

  constructor(target) {
    this.#target = target;
  }

  get port() {
    return this.#port;
  }

  get url() {
    return `redis://127.0.0.1:${this.#port}`;
  }

  get connections() {
    return this.#connections.size;
  }

  async open() {
    for (let attempt = 1; !this.#server; attempt++) {
      const wanted = this.#port ?? PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
      this.#server = await this.#listen(wanted).catch((error) => {
        if (error.code !== "EADDRINUSE" || this.#port !== undefined || attempt === ATTEMPTS) throw error;
      });
    }
    this.#port = this.#server.address().port;
  }

  async cut() {
    const server = this.#server;
    this.#server = undefined;
    for (const connection of this.#connections) connection.close();
    if (!server) return;
    server.close();
    await once(server, "close");
  }

  async mend() {
    for (const connection of this.#connections) if (connection.holed) connection.reset();
    Object.assign(this.#weather, fair());
    this.#moveOn();
    await this.open();
  }

  freeze(direction) {
    for (const one of direction ? [direction] : ["requests", "replies"]) this.#weather.frozen.add(one);
  }

  thaw() {
    this.#weather.frozen.clear();
    this.#moveOn();
  }

  lose(direction) {
    this.#weather.lost.add(direction);
  }

  delay(ms, jitter = 0) {
    Object.assign(this.#weather, { delay: ms, jitter });
  }

  tear(bytes) {
    this.#weather.piece = bytes;
  }

  breakOff(bytes) {
    for (const connection of this.#connections) connection.breakOff(bytes);
  }

  forget() {
    for (const connection of this.#connections) connection.forget();
  }

  reset() {
    for (const connection of this.#connections) connection.reset();
  }

  async stop() {
    await this.cut();
  }

  #moveOn() {
    for (const connection of this.#connections) connection.moveOn();
  }

  async #listen(port) {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#accept(near));
    await once(server.listen(port, "127.0.0.1"), "listening"); // rejects with its error
    return server;
  }

  #accept(near) {
    const connection = new Connection(near, this.#target, this.#weather, () => this.#connections.delete(connection));
    this.#connections.add(connection);
  }
}

const fair = () => ({ frozen: new Set(), lost: new Set(), delay: 0, jitter: 0, piece: 0 });
