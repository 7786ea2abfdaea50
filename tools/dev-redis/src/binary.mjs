import { execFile } from "node:child_process";
import { connect } from "node:net";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { canUseApt, installWithApt, isExecutable } from "./apt.mjs";

const run = promisify(execFile);

const HOW_TO_INSTALL = `No redis-server or valkey-server on PATH. Install one, or set REDIS_URL:
  macOS          brew install redis
  Debian/Ubuntu  apt-get install redis-server
  Fedora         dnf install valkey
  Alpine         apk add redis`;

export function findRedisServer() {
  for (const name of ["redis-server", "valkey-server"]) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      const file = join(folder, name);
      if (folder && isExecutable(file)) return file;
    }
  }
  return undefined;
}

export async function ensureRedisServer() {
  const found = findRedisServer();
  if (found) return found;
  if (!canUseApt()) throw new Error(HOW_TO_INSTALL);

  await installServer();
  const installed = findRedisServer();
  if (!installed) throw new Error(HOW_TO_INSTALL);
  return installed;
}

/* The Debian package starts a service on 6379, which nobody here asked for. Run level 1 keeps sysv from
 * doing so; systemd ignores that, so there we switch off what our own installation has switched on. */
async function installServer() {
  const occupied = await isListening(6379);
  await installWithApt("redis-server", { RUNLEVEL: "1" });
  if (occupied || !(await isListening(6379))) return;

  await run("systemctl", ["disable", "--now", "redis-server"]).catch(() => run("service", ["redis-server", "stop"]));
  if (await isListening(6379)) throw new Error("Installing redis-server left a server on port 6379 that does not stop");
}

function isListening(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const answer = (listening) => {
      socket.destroy();
      resolve(listening);
    };
    socket.once("connect", () => answer(true)).once("error", () => answer(false));
  });
}
