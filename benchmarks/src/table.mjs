/* Rows for people, as soon as they are known: a benchmark takes its time. */

/** @typedef {(line?: string) => void} Say */

export class Table {
  #say;
  #widths;

  /**
   * @param {Say} say
   * @param {readonly string[]} head
   */
  constructor(say, head) {
    this.#say = say;
    this.#widths = head.map((title) => Math.max(9, title.length));
    this.row(head);
  }

  /** @param {readonly (string | number)[]} cells */
  row(cells) {
    this.#say(cells.map((cell, i) => String(cell).padStart(this.#widths[i] ?? 0)).join("  "));
  }
}
