/* Locks of sidekiq-unique-jobs and jobs that run in Node: its reaper, which frees what no job has, sees them as it sees
 * those of Ruby. By itself this package neither takes nor frees a lock. */
import { gate, until } from "@assured-jobs/core/testing";
import { expect, test } from "vitest";
import type { SidekiqHandler } from "../../src/index.ts";
import { Payload } from "../../src/wire/payload.ts";
import { eachRuby } from "./support.ts";
import type { Scene } from "./support.ts";

const LONG_AGO = "1795456973.5";

interface Locked {
  readonly jid: string;
  readonly digest: string;
}

/* Old enough for the reaper, which spares what is younger than 10 or 20 s. */
async function pushLocked({ ruby, redis }: Scene, name: string, ...args: unknown[]): Promise<Locked> {
  const jid = (await ruby.call("perform_async", name, ...args))!;
  const [text] = await redis.lrange("queue:default", 0, 0);
  const payload = Payload.parse(text!)!;
  await redis.lset("queue:default", 0, payload.with({ created_at: LONG_AGO }));
  const digest = payload.string("lock_digest")!;
  await redis.zadd("uniquejobs:digests", LONG_AGO, digest);
  return { jid, digest };
}

const holders = async ({ ruby }: Scene, { digest }: Locked): Promise<string[]> =>
  Object.keys((await ruby.call("locks", digest)).locked);

/* Whether the lock is there after a pass of the reaper. */
async function survives(scene: Scene, locked: Locked): Promise<boolean> {
  await scene.ruby.call("reap");
  return (await holders(scene, locked)).includes(locked.jid);
}

await eachRuby(
  (scene, set) => {
    test("without a job the reaper frees the lock: what follows would fail if Node were not seen", async () => {
      const locked = await pushLocked(scene(), "UniqueSleep", 0, "gone");
      expect(await survives(scene(), locked)).toBe(true);
      await scene().redis.del("queue:default");
      expect(await survives(scene(), locked)).toBe(false);
    });

    test("the lock of a job that runs in Node survives the reaper from its first instruction on", async () => {
      const locked = await pushLocked(scene(), "UniqueSleep", 0, "runs");
      const { opened, open } = gate();
      const seen: boolean[] = [];
      const perform: SidekiqHandler = async () => {
        seen.push(await survives(scene(), locked));
        await opened;
      };
      const worker = await scene().work({ handlers: { UniqueSleep: perform } });
      await until("the reaper was there", () => seen.length === 1);
      expect(seen).toEqual([true]);
      expect(await scene().ruby.call("perform_async", "UniqueSleep", 0, "runs")).toBeNull();
      open();
      await until("it has ended", () => worker.busy === 0);
    });

    test("a lock whose job has ended in Node is freed by the next pass, and by nobody before", async () => {
      const { ruby } = scene();
      const locked = await pushLocked(scene(), "UniqueEcho", 1);
      await scene().work({ handlers: { UniqueEcho: () => {} } });
      await until("it has ended", async () => (await ruby.call("stats")).processed === 1);
      expect(await holders(scene(), locked)).toEqual([locked.jid]);
      expect(await ruby.call("perform_async", "UniqueEcho", 1)).toBeNull();
      expect(await survives(scene(), locked)).toBe(false);
      expect(await ruby.call("perform_async", "UniqueEcho", 1)).toMatch(/^[0-9a-f]{24}$/);
    });

    test("a job that failed in Node keeps its lock until Ruby has run the retry", async () => {
      const { ruby } = scene();
      const locked = await pushLocked(scene(), "UniqueEcho", 2);
      const fail = (): void => {
        throw new Error("not here");
      };
      const worker = await scene().work({ handlers: { UniqueEcho: fail }, poll: false });
      await until("it failed", async () => (await ruby.call("retry_set")).length === 1);
      await worker.stop();
      expect(await survives(scene(), locked)).toBe(true);
      expect(await ruby.call("perform_async", "UniqueEcho", 2)).toBeNull();
      expect(await ruby.call("enqueue_entry", locked.jid, "retry")).toBe(true);
      await scene().hire();
      await scene().heard("echo", locked.jid);
      await until("its lock is free", async () => (await holders(scene(), locked)).length === 0);
    });

    test("a job that a leaving Node process gave back keeps its lock until Ruby has run it", async () => {
      const locked = await pushLocked(scene(), "UniqueEcho", 3);
      const worker = await scene().work({ handlers: { UniqueEcho: () => new Promise(() => {}) } });
      await until("it runs", () => worker.busy === 1);
      await worker.stop({ timeout: 0 });
      expect(await survives(scene(), locked)).toBe(true);
      await scene().hire();
      await scene().heard("echo", locked.jid);
      await until("its lock is free", async () => (await holders(scene(), locked)).length === 0);
    });

    /* Ten seconds in which nothing depends on Ruby's version: once is enough. */
    if (set === "sidekiq7") {
      test("while the event loop is blocked Sidekiq's books are kept, so that the lock survives", async () => {
        const { redis } = scene();
        const locked = await pushLocked(scene(), "UniqueSleep", 0, 14_000);
        const member = await scene().enlist({ classes: ["UniqueSleep"], task: "block" });
        const { id: identity } = await member.heard("ready");
        await member.heard("started", locked.jid);
        const books = [identity!, `${identity}:work`];
        for (const key of books) await redis.expire(key, 13); // as if it had been blocked for most of a minute
        for (const key of books) await until(`${key} is renewed`, async () => (await redis.ttl(key)) > 30);
        expect(member.all("returned")).toEqual([]);
        expect(await survives(scene(), locked)).toBe(true);
      });
    }
  },
  { sets: ["sidekiq6", "sidekiq7"], requires: ["unique-jobs"] },
);
