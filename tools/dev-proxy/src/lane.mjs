/* One direction of one connection: a queue through which bytes, and the news that the sender is gone, go in order.
 *
 * The news is an entry like any other: where nothing passes, nobody learns of an end either. That is the difference
 * between a broken path and a closed connection. A sender may go on while nothing passes; the queue has no limit.
 */
const END = Symbol("end");
const RESET = Symbol("reset");

export class Lane {
  holed = false;
  #sink;
  #direction;
  #weather;
  #entries = [];
  #waiting = false;
  #lastDue = 0;
  #allowance;
  #broken;
  #forgotten = false;

  constructor(source, sink, { direction, weather }) {
    this.#sink = sink;
    this.#direction = direction;
    this.#weather = weather;
    let failed = false;
    source.on("data", (bytes) => this.#take(bytes));
    source.on("error", () => (failed = true));
    source.once("end", () => this.#take(END));
    source.once("close", () => this.#take(failed ? RESET : END));
  }

  breakOff(bytes, broken) {
    this.#allowance = bytes;
    this.#broken = broken;
  }

  forget() {
    this.#forgotten = true;
    this.holed = true;
  }

  /** The weather has changed. */
  moveOn() {
    if (!this.#waiting) this.#pass();
  }

  #take(what) {
    const { lost, delay, jitter, piece } = this.#weather;
    if (this.#forgotten || lost.has(this.#direction)) {
      this.holed = true;
      return;
    }
    this.#lastDue = Math.max(this.#lastDue, performance.now() + delay + Math.random() * jitter);
    for (const part of partsOf(what, piece)) this.#entries.push({ what: part, due: this.#lastDue, apart: piece > 0 });
    this.moveOn();
  }

  #pass() {
    this.#waiting = false;
    while (this.#entries.length > 0 && !this.#weather.frozen.has(this.#direction)) {
      const early = this.#entries[0].due - performance.now();
      if (early > 0) return this.#passLater(early);
      const { what, apart } = this.#entries.shift();
      this.#deliver(what);
      if (apart) return this.#passLater(0);
    }
  }

  #passLater(ms) {
    this.#waiting = true;
    if (ms > 0) setTimeout(() => this.#pass(), ms);
    else setImmediate(() => this.#pass());
  }

  #deliver(what) {
    if (this.#sink.destroyed) return;
    if (what === END) this.#sink.end();
    else if (what === RESET) reset(this.#sink);
    else this.#sink.write(this.#allowed(what));
  }

  #allowed(bytes) {
    if (this.#allowance === undefined) return bytes;
    const allowed = bytes.subarray(0, this.#allowance);
    this.#allowance -= allowed.length;
    if (this.#allowance === 0) setImmediate(() => this.#broken());
    return allowed;
  }
}

function reset(socket) {
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}

function partsOf(what, size) {
  if (size === 0 || typeof what === "symbol") return [what];
  const count = Math.ceil(what.length / size);
  return Array.from({ length: count }, (_, n) => what.subarray(n * size, (n + 1) * size));
}
