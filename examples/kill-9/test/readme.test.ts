import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { startRedis } from "@assured-jobs/dev-redis";
import { expect, onTestFinished, test } from "vitest";

const example = join(import.meta.dirname, "..");

test("the first program of the README runs as it stands, and leaves on SIGTERM", { timeout: 60_000 }, async () => {
  const readme = await readFile(join(example, "../../README.md"), "utf8");
  const program = /```js\n(.*?)```/s.exec(readme)![1]!;
  const redis = await startRedis({ own: true });
  onTestFinished(() => redis.stop());

  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: example, // where its packages are found
    env: { ...process.env, REDIS_URL: redis.url },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    output += chunk as string;
    if (output.includes("sent to ada@example.org")) break;
  }
  expect(output).toContain("sent to ada@example.org");
  const exit = child.exitCode === null ? once(child, "exit") : [child.exitCode];
  child.kill("SIGTERM");
  expect((await exit)[0]).toBe(143);
});
