/* What a fresh checkout lacks: pnpm in the version of package.json, and the dependencies. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Failed, quietly, readJson, root } from "./process.mjs";

const tools = join(root, ".tools");
const stamp = join(root, "node_modules", ".install-stamp");

/** Puts the right pnpm on this process's PATH. */
export async function ensurePnpm() {
  const version = wantedPnpm();
  if (toolsVersion() !== version) {
    if ((await pnpmOnPath()) === version) return;
    await installPnpm(version);
  }
  process.env.PATH = join(tools, "node_modules", ".bin") + delimiter + process.env.PATH;
}

/** Installs what the lock file names, when it or a manifest changed since the last time. */
export async function ensureDependencies() {
  const wanted = fingerprint();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  await quietly("pnpm", ["install", "--frozen-lockfile"]).catch((error) => {
    throw new Failed(`${error.message}\nAfter a change to a manifest: npm run pnpm -- install`);
  });
  writeFileSync(stamp, wanted);
}

function wantedPnpm() {
  return readJson("package.json").packageManager.replace(/^pnpm@/, "");
}

function toolsVersion() {
  const manifest = ".tools/node_modules/pnpm/package.json";
  return existsSync(join(root, manifest)) ? readJson(manifest).version : undefined;
}

async function pnpmOnPath() {
  return quietly("pnpm", ["--version"]).then(
    (text) => text.trim(),
    () => undefined,
  );
}

/* pnpm's install script only links its native binary into place; npm may be set to run no scripts at all. */
async function installPnpm(version) {
  await quietly("npm", ["install", "--prefix", tools, "--no-save", "--ignore-scripts", `pnpm@${version}`]);
  await quietly("node", ["install.js"], { cwd: join(tools, "node_modules", "pnpm") });
}

function fingerprint() {
  const hash = createHash("sha256").update(process.version);
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml", ...manifests()]) {
    hash.update(file).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex");
}

function manifests() {
  return [".", "benchmarks", ...["packages", "examples", "tools"].flatMap(foldersIn)]
    .map((folder) => join(folder, "package.json"))
    .filter((file) => existsSync(join(root, file)));
}

function foldersIn(home) {
  if (!existsSync(join(root, home))) return [];
  return readdirSync(join(root, home)).map((name) => join(home, name));
}
