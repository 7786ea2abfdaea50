import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";

const src = join(import.meta.dirname, "../src");

test("no queue is named anywhere in core: whatever is one queue's own belongs into its adapter", async () => {
  const files = (await readdir(src, { recursive: true })).filter((name) => name.endsWith(".ts"));
  expect(files.length).toBeGreaterThan(50);
  for (const file of files)
    expect(await readFile(join(src, file), "utf8"), file).not.toMatch(
      /bull|\bbee\b|bee-queue|sidekiq|agenda|pg-?boss/i,
    );
});
