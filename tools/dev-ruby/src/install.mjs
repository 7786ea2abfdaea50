/* Puts the gems of a set into their folder.
 *
 * The folder is named after all that decides what is in it, and appears by one rename once it is complete. So there is
 * nothing to lock and nothing to repair: whoever finds the folder may use it, two that install at once both succeed,
 * and one that is killed leaves a folder that nobody looks at.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BOOT, RUBY, environment } from "./environment.mjs";
import { SETS } from "./sets.mjs";

const run = promisify(execFile);

const home = fileURLToPath(new URL("../../../.tools/ruby/", import.meta.url));
const ATTEMPTS = 2;
const OLDEST = [3, 1];

const HOW_TO_INSTALL = `Ruby ${OLDEST.join(".")} or later, with RubyGems, is needed on PATH:
  macOS          brew install ruby
  Debian/Ubuntu  apt-get install ruby ruby-dev build-essential
  Fedora         dnf install ruby ruby-devel gcc make
  Alpine         apk add ruby ruby-dev build-base`;

const asked = new Map();

export function ensureRuby(set) {
  if (!asked.has(set)) {
    const answer = provide(set);
    asked.set(set, answer);
    answer.catch(() => asked.delete(set));
  }
  return asked.get(set);
}

export async function rubyAvailable(set) {
  try {
    await ensureRuby(set);
    return undefined;
  } catch (error) {
    return error.message;
  }
}

async function provide(name) {
  const gems = SETS[name];
  if (!gems) throw new Error(`No set ${name}: there are ${Object.keys(SETS).join(", ")}`);
  const dir = join(home, name, fingerprint(gems, await whichRuby()));
  if (!existsSync(dir)) await install(gems, dir);
  return { name, dir, gems };
}

/* All that decides what an installation holds: a gem may compile for the Ruby at hand. */
function fingerprint(gems, ruby) {
  return createHash("sha256")
    .update(JSON.stringify([ruby, gems]))
    .digest("hex")
    .slice(0, 16);
}

async function whichRuby() {
  const asking = ["-e", "print RUBY_ENGINE, ' ', RUBY_VERSION, ' ', RUBY_PLATFORM"];
  const { stdout } = await runRuby(asking, environment()).catch((error) => {
    throw new Error(`${HOW_TO_INSTALL}\n${error.message}`, { cause: error });
  });
  const [major, minor] = stdout.split(" ")[1].split(".").map(Number);
  const isOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  if (isOld) throw new Error(`${HOW_TO_INSTALL}\nThere is ${stdout}`);
  return stdout;
}

async function install(gems, dir) {
  await mkdir(join(dir, ".."), { recursive: true });
  const building = await mkdtemp(join(dir, "..", "building-"));
  try {
    await download(gems, building);
    await check(building);
    await rename(building, dir).catch((error) => {
      if (!existsSync(dir)) throw error; // else somebody was faster, with the same
    });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

/* A registry may fail for a moment; what came before is kept. */
async function download(gems, dir) {
  const wanted = Object.entries(gems).map(([name, version]) => `${name}:${version}`);
  // --force: Sidekiq 8 asks for a later Ruby than it needs, see boot.rb
  const options = ["--no-document", "--ignore-dependencies", "--force", "--install-dir", dir];
  for (let attempt = 1; ; attempt++) {
    try {
      return await runRuby(["-S", "gem", "install", ...wanted, ...options], environment());
    } catch (error) {
      if (attempt === ATTEMPTS) throw failed(`gem install ${wanted.join(" ")}`, error);
    }
  }
}

async function check(dir) {
  await runRuby(["-r", BOOT, "-e", ""], environment({ gems: dir })).catch((error) => {
    throw failed("The gems were installed but do not load", error);
  });
}

function runRuby(args, env) {
  return run(RUBY, args, { env, maxBuffer: 64 * 1024 * 1024 });
}

function failed(what, error) {
  const output = `${error.stdout ?? ""}${error.stderr ?? ""}`.trim() || error.message;
  const hint = /extconf|native extension|mkmf/.test(output) ? `\nA compiler is needed too.\n${HOW_TO_INSTALL}` : "";
  return new Error(`${what}: failed\n${output}${hint}`, { cause: error });
}
