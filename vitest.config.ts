import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

/** Every workspace folder that has a `test` folder, named like its folder. */
const projects = ["packages", "examples", "tools", "."]
  .map((home) => join(import.meta.dirname, home))
  .filter((home) => existsSync(home))
  .flatMap((home) => readdirSync(home).map((name) => ({ name, root: join(home, name) })))
  .filter(({ root }) => existsSync(join(root, "test")));

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    passWithNoTests: true,
    // Tests start real processes and servers on a machine that may be busy.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    coverage: { include: ["packages/*/src/**"] },
    projects: projects.map(({ name, root }) => ({ extends: true, root, test: { name } })),
  },
});
