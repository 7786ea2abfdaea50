/* Packages of Debian and Ubuntu, for what the tests of this repository need and npm has not. */
import { execFile } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Whether this process may install packages here. */
export const canUseApt = () =>
  process.getuid?.() === 0 && isExecutable("/usr/bin/apt-get") && /debian|ubuntu/i.test(osRelease());

/** Installs one package; throws what apt-get said. */
export async function installWithApt(name, environment = {}) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", ...environment };
  await apt(["update"], env);
  await apt(["install", "-y", "--no-install-recommends", name], env);
}

export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function apt(args, env) {
  try {
    await run("apt-get", args, { env, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    throw new Error(`apt-get ${args.join(" ")} failed: ${error.stderr || error.message}`, { cause: error });
  }
}

function osRelease() {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}
