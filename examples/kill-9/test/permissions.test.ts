import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { bullmqAdapter } from "@assured-jobs/adapter-bullmq";
import { createAssurance, redisStore } from "@assured-jobs/core";
import { startRedis } from "@assured-jobs/dev-redis";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";

const run = promisify(execFile);
const example = join(import.meta.dirname, "..");

/** The user of docs/operations.md, in a Redis of its own, with a password and any namespace. */
async function restrictedUser(): Promise<{ admin: Redis; url: string; open: string }> {
  const operations = await readFile(join(example, "../../docs/operations.md"), "utf8");
  const rules = /ACL SETUSER assured (.*?)```/s.exec(operations)![1]!.replaceAll("{assured_jobs}", "{*}");
  const redis = await startRedis({ own: true });
  onTestFinished(() => redis.stop());
  const admin = new Redis(redis.url);
  onTestFinished(() => admin.disconnect());
  await admin.call("ACL", "SETUSER", "assured", ...rules.trim().split(/\s+/));
  return { admin, url: `redis://assured:secret@127.0.0.1:${redis.port}`, open: redis.url };
}

test("the permissions in docs/operations.md are enough for recovery", { timeout: 120_000 }, async () => {
  const { admin, url, open } = await restrictedUser();
  const { stdout, stderr } = await run(process.execPath, ["src/demo.mjs", "--json", "--kills", "1"], {
    cwd: example,
    env: { ...process.env, REDIS_URL: open, ASSURED_JOBS_REDIS_URL: url },
  });
  expect(JSON.parse(stdout.trim().split("\n").at(-1)!), stderr).toMatchObject({ kills: 1, lost: 0 });
  expect(await admin.call("ACL", "LOG")).toEqual([]);
});

test("and for people who look and act", async () => {
  const { admin, url, open } = await restrictedUser();
  const queue = new Queue("emails", { connection: { url: open } });
  const assurance = createAssurance({ adapters: [bullmqAdapter({ queues: [queue] })], store: redisStore({ url }) });
  onTestFinished(() => queue.close());
  onTestFinished(() => assurance.stop().then(() => undefined));
  await assurance.start({ required: true });
  const { snapshot } = assurance;
  await Promise.all([snapshot.overview(), snapshot.instances(), snapshot.instances({ state: "dead" })]);
  await Promise.all([snapshot.claims(), snapshot.orphans(), snapshot.quarantine()]);
  await Promise.all((["deaths", "recoveries", "actions"] as const).map((kind) => snapshot.history(kind)));
  await assurance.audit({ repair: true });
  await assurance.recover();
  const job = await queue.add("welcome", {});
  await assurance.discard({ queue: "bullmq:bull:emails", id: job.id!, actor: "test" });
  expect(await admin.call("ACL", "LOG")).toEqual([]);
});
