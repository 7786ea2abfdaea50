/* Every command that a private server carries out, in its order, those of scripts included. By a bare socket: what comes
 * must not be taken for an answer, and no byte of it may be lost unnoticed. */
import { connect } from "node:net";

/** @typedef {{ at: number, isScripted: boolean, command: string, args: () => string[] }} Carried */

const LINE = /^\+(\d+\.\d+) \[\d+ (\S+)\] "([^"]*)"/;
const ARGUMENT = /"((?:[^"\\]|\\.)*)"/g;
const ESCAPE = /\\(x[0-9a-f]{2}|.)/g;
/** @type {Readonly<Record<string, string>>} */
const CONTROL = { n: "\n", r: "\r", t: "\t", a: "\u0007", b: "\b" };

/**
 * Resolves once it watches. `broken` is called when it does not any more; it is not mended.
 * @param {number} port
 * @param {{ carried: (one: Carried) => void, broken: () => void }} listener
 */
export async function watch(port, { carried, broken }) {
  const socket = connect(port, "127.0.0.1");
  socket.setEncoding("latin1");
  await new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () => socket.write("MONITOR\r\n"));
    socket.once("data", resolve); // +OK
  });
  /** @type {string[]} */
  let rest = [];
  socket.on("data", (/** @type {string} */ text) => {
    rest.push(text);
    if (!text.includes("\n")) return;
    const lines = rest.join("").split("\r\n");
    rest = [lines.pop() ?? ""];
    for (const line of lines) tell(line, carried);
  });
  socket.on("error", () => {});
  socket.once("close", broken);
  return {
    close() {
      socket.off("close", broken);
      socket.destroy();
    },
  };
}

/** @param {string} line @param {(one: Carried) => void} carried */
function tell(line, carried) {
  const [head, time, source, command = ""] = LINE.exec(line) ?? [];
  if (head === undefined) return;
  const args = () => Array.from(line.slice(head.length).matchAll(ARGUMENT), ([, text = ""]) => unquoted(text));
  carried({ at: Math.round(Number(time) * 1_000), isScripted: source === "lua", command: command.toLowerCase(), args });
}

/** @param {string} text */
const unquoted = (text) =>
  text.replace(ESCAPE, (_, /** @type {string} */ what) =>
    what.length > 1 ? String.fromCharCode(Number.parseInt(what.slice(1), 16)) : (CONTROL[what] ?? what),
  );
