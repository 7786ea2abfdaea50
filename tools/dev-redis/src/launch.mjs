/* One run of one server process.
 *
 * The server is its own session, so that Ctrl-C reaches only us and not the server under our feet. That is
 * safe because of the watchdog: a shell that reads from a pipe whose other end only we hold. However we
 * end, even by SIGKILL, the kernel closes the pipe and the watchdog kills the server.
 */
import { spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const START_TIMEOUT = 20_000;
const GRACE = 5_000;
const ENDING = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGABRT", "SIGSEGV"]);

const WATCHDOG = `
  read -r pid || exit 0
  read -r released && exit 0
  kill -9 "$pid"
  [ -z "$1" ] || rm -rf "$1"`;

export class PortTaken extends Error {}

/** Resolves once the server answers; rejects with the end of its log, or PortTaken. */
export async function launch({ binary, port, dir, args, temporary }) {
  const log = join(dir, "redis.log");
  const output = await open(log, "w");
  const watchdog = startWatchdog(temporary ? dir : "");
  const child = spawn(binary, serverArgs({ port, dir, args }), {
    detached: true,
    stdio: ["ignore", output.fd, output.fd],
  });
  const server = new Server(child, port, watchdog);
  await output.close(); // the server has its own copy
  try {
    await answering(server);
    return server;
  } catch (error) {
    await server.end("SIGKILL");
    const text = await readFile(log, "utf8").catch(() => "");
    if (/address already in use/i.test(text)) throw new PortTaken(`Port ${port} is taken`, { cause: error });
    throw new Error(`${binary} did not start: ${error.message}\n${text.slice(-2000)}`, { cause: error });
  }
}

class Server {
  #child;

  constructor(child, port, watchdog) {
    this.port = port;
    this.#child = child;
    this.gone = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
    if (child.pid) watchdog.stdin.write(`${child.pid}\n`);
    void this.gone.then(() => watchdog.stdin.end(child.pid ? "released\n" : ""));
    child.unref();
  }

  get pid() {
    return this.#child.pid;
  }

  get running() {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(name) {
    if (this.running) this.#child.kill(name);
  }

  async end(name) {
    this.signal(name);
    if (!ENDING.has(name) || !this.running) return;
    this.signal("SIGCONT"); // a paused server must wake up to end
    this.#child.ref(); // somebody waits now
    if (name !== "SIGKILL") setTimeout(() => this.signal("SIGKILL"), GRACE).unref();
    await this.gone;
  }
}

function startWatchdog(dirToRemove) {
  const watchdog = spawn("/bin/sh", ["-c", WATCHDOG, "dev-redis-watchdog", dirToRemove], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watchdog.stdin.on("error", () => {});
  watchdog.stdin.unref();
  watchdog.unref();
  return watchdog;
}

function serverArgs({ port, dir, args }) {
  return ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no", ...args];
}

async function answering(server) {
  const deadline = Date.now() + START_TIMEOUT;
  while (Date.now() < deadline) {
    if (!server.running) throw new Error("it ended at once");
    if (await isServing(server)) return;
    await sleep(20);
  }
  throw new Error(`no answer in ${START_TIMEOUT} ms`);
}

/* The port may have gone to another server, and that one answers too: only our own pid counts. */
async function isServing({ port, pid }) {
  const reply = await ask(port, "PING\r\nINFO server\r\n").catch(() => "");
  if (/^-(NOAUTH|NOPERM)/.test(reply)) return true; // wants a password first: as much as we can know
  return reply.startsWith("+PONG") && reply.includes(`\nprocess_id:${pid}\r`);
}

function ask(port, commands) {
  return new Promise((resolve, reject) => {
    let reply = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(commands))
      .setEncoding("utf8")
      .setTimeout(500);
    const finish = () => {
      socket.destroy();
      resolve(reply);
    };
    socket.once("error", reject).once("timeout", finish).once("close", finish);
    socket.on("data", (chunk) => {
      reply += chunk;
      if (reply.startsWith("-") || /\nprocess_id:\d+\r/.test(reply)) finish();
    });
  });
}
