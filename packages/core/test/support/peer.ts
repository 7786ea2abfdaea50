/* This package as it is installed beside another version of its peer. */
import { cp, mkdir, mkdtemp, realpath, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));

export interface Installed {
  /** Modules to import. */
  readonly core: string;
  readonly testing: string;
  remove(): Promise<void>;
}

export async function installBeside(ioredis: "ioredis5"): Promise<Installed> {
  const root = await mkdtemp(join(tmpdir(), "assured-jobs-"));
  const modules = join(root, "node_modules");
  const home = join(modules, "@assured-jobs", "core");
  await mkdir(home, { recursive: true });
  await cp(join(PACKAGE, "dist"), join(home, "dist"), { recursive: true });
  await cp(join(PACKAGE, "package.json"), join(home, "package.json"));
  await symlink(await realpath(join(PACKAGE, "node_modules", ioredis)), join(modules, "ioredis"));
  return {
    core: pathToFileURL(join(home, "dist", "index.js")).href,
    testing: pathToFileURL(join(home, "dist", "testing", "index.js")).href,
    remove: () => rm(root, { recursive: true, force: true }),
  };
}
