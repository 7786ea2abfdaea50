import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { type SetName, ensureRuby, rubyAvailable } from "../src/index.mjs";
import { sets } from "./sets.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

test.each(sets)("%s has its gems in a folder of its own", async (set) => {
  const { dir, gems } = await ensureRuby(set);
  for (const [name, version] of Object.entries(gems)) {
    expect(existsSync(join(dir, "specifications", `${name}-${version}.gemspec`)), name).toBe(true);
  }
});

test("without Ruby, the reason says how to get it, and is not remembered", async () => {
  vi.resetModules();
  const fresh = (await import("../src/index.mjs")) as { rubyAvailable: typeof rubyAvailable };
  vi.stubEnv("PATH", "");
  expect(await fresh.rubyAvailable("sidekiq6")).toMatch(/apt-get install ruby[^]*ENOENT/);
  vi.unstubAllEnvs();
  expect(await fresh.rubyAvailable("sidekiq6")).toBe(await rubyAvailable("sidekiq6"));
});

test("a set that does not exist is no set", async () => {
  expect(await rubyAvailable("sidekiq5" as SetName)).toContain("sidekiq6, sidekiq7, sidekiq8");
});
