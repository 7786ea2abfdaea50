/* What a worker process did, written down before it does the next thing. Each line is one write to a file: the kernel
 * keeps it whatever becomes of the process, and a SIGKILL falls before or after a line, not into it. */
import { openSync, readFileSync, writeSync } from "node:fs";

/** @typedef {import("./history.d.mts").Note} Note */

export class Diary {
  #file;

  /** @param {string} path */
  constructor(path) {
    this.#file = openSync(path, "a");
  }

  /** @param {Omit<Note, "at" | "process">} note */
  write(note) {
    writeSync(this.#file, `${JSON.stringify({ at: Date.now(), ...note })}\n`);
  }
}

/**
 * All lines of a diary; of a process that may still write, those so far.
 * @param {string} path
 * @param {string} process
 * @returns {Note[]}
 */
export function readDiary(path, process) {
  const lines = read(path).split("\n");
  lines.pop(); // what follows the last line feed is not a line yet
  return lines.map((line) => ({ process, ...JSON.parse(line) }));
}

/* A process that died while it started has no diary. */
function read(/** @type {string} */ path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
