import { execFile } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { connect } from "node:net";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

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

  await installWithApt();
  const installed = findRedisServer();
  if (!installed) throw new Error(HOW_TO_INSTALL);
  return installed;
}

/* The Debian package starts a service on 6379, which nobody here asked for. Run level 1 keeps sysv from
 * doing so; systemd ignores that, so there we switch off what our own installation has switched on. */
async function installWithApt() {
  const occupied = await isListening(6379);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  await apt(["update"], env);
  await apt(["install", "-y", "--no-install-recommends", "redis-server"], env);
  if (occupied || !(await isListening(6379))) return;

  await run("systemctl", ["disable", "--now", "redis-server"]).catch(() => run("service", ["redis-server", "stop"]));
  if (await isListening(6379)) throw new Error("Installing redis-server left a server on port 6379 that does not stop");
}

async function apt(args, env) {
  try {
    await run("apt-get", args, { env, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    throw new Error(`apt-get ${args.join(" ")} failed: ${error.stderr || error.message}`, { cause: error });
  }
}

function canUseApt() {
  return process.getuid?.() === 0 && isExecutable("/usr/bin/apt-get") && /debian|ubuntu/i.test(osRelease());
}

function osRelease() {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
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
