/* One connection: an end near the client, an end at the server, and a lane in each direction. */
import { connect } from "node:net";
import { Lane } from "./lane.mjs";

export class Connection {
  #ends;
  #requests;
  #replies;

  constructor(near, target, weather, gone) {
    const far = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.#ends = [near, far];
    this.#requests = new Lane(near, far, { direction: "requests", weather });
    this.#replies = new Lane(far, near, { direction: "replies", weather });
    let open = 2;
    for (const end of this.#ends) {
      end.on("close", () => {
        if (--open === 0) gone();
      });
    }
  }

  /** Something vanished on the way. */
  get holed() {
    return this.#requests.holed || this.#replies.holed;
  }

  moveOn() {
    this.#requests.moveOn();
    this.#replies.moveOn();
  }

  breakOff(bytes) {
    this.#replies.breakOff(bytes, () => this.reset());
  }

  forget() {
    this.#requests.forget();
    this.#replies.forget();
  }

  close() {
    for (const end of this.#ends) end.destroy();
  }

  reset() {
    for (const end of this.#ends) {
      if (end.connecting) end.destroy();
      else end.resetAndDestroy();
    }
  }
}
