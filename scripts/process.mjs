import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

export const readJson = (file) => JSON.parse(readFileSync(join(root, file), "utf8"));

const KILL_AFTER = 10_000;

/** A step that did not succeed; `code` is the exit code to end with. */
export class Failed extends Error {
  constructor(message, code = 1) {
    super(message);
    this.code = code;
  }
}

/** Runs quietly: one line when it worked, all it printed when it did not. */
export async function phase(name, action) {
  const start = performance.now();
  await action();
  process.stderr.write(`${name.padEnd(10)} ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
}

export async function quietly(command, args, options = {}) {
  const { code, output } = await run(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  if (code === 0) return output;
  throw new Failed(`${output}\n${command} ${args.join(" ")}: exit code ${code}`, code);
}

export async function loudly(command, args, options = {}) {
  const { code } = await run(command, args, { ...options, stdio: "inherit" });
  if (code !== 0) throw new Failed("", code);
}

function run(command, args, options) {
  return new Promise((resolve, reject) => {
    let output = "";
    const child = spawn(command, args, { cwd: root, ...options });
    const release = passSignals(child);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (chunk) => (output += chunk));
    }
    child.once("error", (error) => reject(new Failed(`${command}: ${error.message}`, 127)));
    child.once("close", (code, signal) => {
      release();
      resolve({ code: signal ? 128 + constants.signals[signal] : code, output });
    });
  });
}

/* We outlive our child, to end with its exit code. On a terminal Ctrl-C reaches it without us. */
function passSignals(child) {
  const pass = (signal) => {
    if (signal === "SIGTERM" || !process.stdin.isTTY) child.kill(signal);
    setTimeout(() => child.kill("SIGKILL"), KILL_AFTER).unref();
  };
  const signals = ["SIGINT", "SIGTERM"];
  for (const signal of signals) process.on(signal, pass);
  return () => signals.forEach((signal) => process.off(signal, pass));
}
