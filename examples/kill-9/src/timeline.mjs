/* Lines for a person: when, who, what, and the detail. Colour only where somebody would see it. */
import { styleText } from "node:util";

/** @typedef {Parameters<typeof styleText>[0]} Style */

/** @type {Record<string, Style>} */
const STYLES = { KILLED: "red", noticed: "yellow", requeued: "cyan", "ran again": "green", trouble: "magenta" };

export class Timeline {
  #start = performance.now();
  #out;
  #colour;

  /** @param {NodeJS.WriteStream} out */
  constructor(out) {
    this.#out = out;
    this.#colour = out.isTTY && !process.env.NO_COLOR;
  }

  /**
   * @param {string} who
   * @param {string} what
   * @param {string} [detail]
   */
  add(who, what, detail = "") {
    const seconds = ((performance.now() - this.#start) / 1_000).toFixed(2).padStart(6);
    const verb = this.paint(STYLES[what] ?? "dim", what.padEnd(9));
    this.say(`${this.paint("dim", `${seconds} s`)}  ${who.padEnd(8)}  ${verb}  ${detail}`.trimEnd());
  }

  say(text = "") {
    this.#out.write(`${text}\n`);
  }

  /**
   * @param {Style} style
   * @param {string} text
   */
  paint(style, text) {
    return this.#colour ? styleText(style, text) : text;
  }
}
