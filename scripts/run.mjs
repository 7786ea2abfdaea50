/* Behind every `npm run` of this repository: provides what a fresh checkout lacks, builds, then runs the command.
 * Steps report on standard error; standard output belongs to the command. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureRedisServer } from "../tools/dev-redis/src/index.mjs";
import { Failed, loudly, phase, quietly, readJson, root } from "./process.mjs";
import { ensureDependencies, ensurePnpm } from "./toolchain.mjs";

const tool = (name, ...args) => loudly(`node_modules/.bin/${name}`, args);
const silentTool = (name, ...args) => quietly(`node_modules/.bin/${name}`, args);
const turbo = (...tasks) => silentTool("turbo", "run", ...tasks, "--output-logs=errors-only");

const commands = {
  bench: { redis: true, build: true, run: (args) => start("benchmarks", args) },
  build: { build: true },
  check: { build: true, run: checkPackages },
  demo: { redis: true, build: true, run: (args) => start("examples/kill-9", args) },
  format: { run: () => tool("oxfmt") },
  lint: { build: true, run: lint },
  pnpm: { run: (args) => loudly("pnpm", args), unlocked: true },
  storm: { redis: true, build: true, run: (args) => start("tools/storm", args) },
  test: { redis: true, build: true, peers: true, run: (args) => tool("vitest", "run", ...args) },
};

async function main([name, ...args]) {
  const command = commands[name];
  if (!command) throw new Failed(`usage: npm run <${Object.keys(commands).join("|")}> [-- arguments]`, 2);

  process.env.TURBO_TELEMETRY_DISABLED = "1";
  process.env.TURBO_NO_UPDATE_NOTIFIER = "1";
  await phase("pnpm", ensurePnpm);
  if (!command.unlocked) await phase("install", ensureDependencies);
  if (command.redis && !process.env.REDIS_URL) await phase("redis", ensureRedis);
  if (command.build) await phase("build", () => turbo("build"));
  if (command.peers) await phase("peers", ensurePeers);
  await command.run?.(args);
}

/* What is missing is the user's to install: a message, not a stack. */
function ensureRedis() {
  return ensureRedisServer().catch((error) => {
    throw new Failed(error.message);
  });
}

/* Real Sidekiq and a real browser, before the tests begin: they take longer than a test may. Where one cannot be had its
 * tests are skipped by name, or fail where CI is set. */
async function ensurePeers() {
  const [{ rubyAvailable }, { ensureChromium }] = await Promise.all([
    import("../tools/dev-ruby/src/index.mjs"),
    import("../tools/dev-browser/src/index.mjs"),
  ]);
  for (const set of ["sidekiq6", "sidekiq7", "sidekiq8"]) tellMissing(set, await rubyAvailable(set));
  tellMissing("chromium", await ensureChromium().then(() => undefined, reasonOf));
}

function tellMissing(name, reason) {
  if (reason !== undefined) process.stderr.write(`${name} is missing: ${reason}\n`);
}

const reasonOf = (error) => error.message;

function lint() {
  return allPhases({
    oxlint: () => silentTool("oxlint", "--type-aware", "--deny-warnings"),
    oxfmt: () => silentTool("oxfmt", "--check"),
    types: () => turbo("typecheck"),
  });
}

/* What a user of the published packages would notice, and what nobody uses any more. */
function checkPackages() {
  return allPhases({
    packages: () => turbo("check"),
    size: () => silentTool("size-limit"),
    knip: () => silentTool("knip"),
  });
}

/* One failure must not hide the next. */
async function allPhases(actions) {
  const failures = [];
  for (const [name, action] of Object.entries(actions)) {
    await phase(name, action).catch((error) => failures.push(error.message));
  }
  if (failures.length > 0) throw new Failed(failures.join("\n"));
}

/* The package's own start script, but without a package manager in between: signals reach the program itself. */
async function start(folder, args) {
  if (!existsSync(join(root, folder, "package.json"))) throw new Failed(`${folder} is not here`);
  const [program, ...given] = readJson(`${folder}/package.json`).scripts.start.split(" ");
  await loudly(program, [...given, ...args], { cwd: join(root, folder) });
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error.message) process.stderr.write(`${error instanceof Failed ? error.message : error.stack}\n`);
  process.exitCode = error instanceof Failed ? error.code : 1;
}
