/* A client middleware may read, change and stop each push, and always knows whether the job is in Redis. */
import { AssuranceError } from "@assured-jobs/core";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { SidekiqClient } from "../../src/client/client.ts";
import type { ClientMiddleware } from "../../src/client/types.ts";
import { Scene } from "./support/scene.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const job = { class: "EchoJob", args: [1] };
const pass: ClientMiddleware = (_, next) => next();

describe("a client middleware", () => {
  test("stands around those that follow it: the first one is outermost", async () => {
    const steps: string[] = [];
    const named =
      (name: string): ClientMiddleware =>
      async (_, next) => {
        steps.push(`${name} in`);
        await next();
        steps.push(`${name} out`);
      };
    await new Scene(server.url, { middleware: [named("a"), named("b")] }).client.push(job);
    expect(steps).toEqual(["a in", "b in", "b out", "a out"]);
  });

  test("sees the whole job, and what it sets is what is stored", async () => {
    const seen: unknown[] = [];
    const scene = new Scene(server.url, {
      middleware: [
        async (one, next) => {
          seen.push(one.class, one.args, one.queue, one.jid.length, one.at, one.get("retry"), one.get("nothing"));
          one.set("queue", "other");
          one.set("lock_digest", "d1");
          one.set("tags", undefined);
          one.set("args", [...one.args, 2]);
          await next();
        },
      ],
    });
    const jid = await scene.client.push({ ...job, tags: ["x"] });
    expect(seen).toEqual(["EchoJob", [1], "default", 24, undefined, true, undefined]);
    const [stored] = await scene.jobs("other");
    expect(stored).toMatchObject({ jid, queue: "other", lock_digest: "d1", args: [1, 2] });
    expect(stored).not.toHaveProperty("tags");
    expect(await scene.queues()).toEqual(["other"]);
  });

  test("may put a job off, or bring it forward", async () => {
    const scene = new Scene(server.url, {
      middleware: [
        (one, next) => {
          one.set("at", one.at === undefined ? 60 : undefined);
          return next();
        },
      ],
    });
    await scene.client.push({ ...job, args: ["put off"] });
    await scene.client.performIn(60, { ...job, args: ["forward"] });
    expect((await scene.schedule())[0]!.text).toContain("put off");
    expect((await scene.queue())[0]).toContain("forward");
  });

  test("stops a push by not calling next", async () => {
    const scene = new Scene(server.url, { middleware: [pass, async () => {}] });
    expect(await scene.client.push(job)).toBeUndefined();
    expect(await scene.queues()).toEqual([]);
  });

  test("stops some jobs of a bulk, and the others keep their places", async () => {
    const odd: ClientMiddleware = async ({ args }, next) => {
      if ((args[0] as number) % 2 === 1) await next();
    };
    const scene = new Scene(server.url, { middleware: [odd] });
    const jids = await scene.client.pushBulk({ class: "EchoJob", args: Array.from({ length: 1_100 }, (_, n) => [n]) });
    expect(jids.filter((jid, nth) => (jid !== undefined) === (nth % 2 === 1))).toHaveLength(1_100);
    expect((await scene.jobs()).map(({ jid }) => jid)).toEqual(jids.filter((jid) => jid !== undefined));
  });

  test("gets the jobs of a bulk one after the other, so that the first of two equal ones wins", async () => {
    const taken = new Set<unknown>();
    const lock: ClientMiddleware = async ({ args }, next) => {
      if (taken.has(args[0])) return;
      await new Promise((resolve) => setImmediate(resolve));
      taken.add(args[0]);
      await next();
    };
    const scene = new Scene(server.url, { middleware: [lock] });
    const jids = await scene.client.pushBulk({ class: "EchoJob", args: [["a"], ["a"], ["b"]] });
    expect(jids.map((jid) => jid !== undefined)).toEqual([true, false, true]);
  });

  test("finds the job in Redis once next has resolved", async () => {
    let stored = -1;
    const scene: Scene = new Scene(server.url, {
      middleware: [
        async (_, next) => {
          await next();
          stored = (await scene.queue()).length;
        },
      ],
    });
    await scene.client.pushBulk({ class: "EchoJob", args: [[1], [2]] });
    expect(stored).toBe(2);
  });
});

/** Holds a lock while the job exists. */
function locking(): { held: Set<string>; lock: ClientMiddleware } {
  const held = new Set<string>();
  const lock: ClientMiddleware = async ({ jid }, next) => {
    held.add(jid);
    try {
      await next();
    } catch (error) {
      held.delete(jid);
      throw error;
    }
  };
  return { held, lock };
}

describe("what a middleware took can be given back", () => {
  test("when Redis does not answer", async () => {
    const own = await startRedis({ own: true });
    onTestFinished(() => own.stop());
    const { held, lock } = locking();
    const client = new SidekiqClient({ redis: own.url, middleware: [lock] });
    onTestFinished(() => client.close());
    await client.push(job);
    expect(held.size).toBe(1);
    await own.kill();
    await expect(client.push(job)).rejects.toMatchObject({ code: "ERR_QUEUE_UNREACHABLE" });
    expect(held.size).toBe(1);
  });

  test("when the arguments are refused, which happens behind the last middleware", async () => {
    const { held, lock } = locking();
    const scene = new Scene(server.url, { middleware: [lock] });
    const push = scene.client.pushBulk({ class: "EchoJob", args: [[1], [undefined], [3]] });
    await expect(push).rejects.toMatchObject({ code: "ERR_OPTION" });
    expect(held.size).toBe(0);
    expect(await scene.queue()).toEqual([]);
  });

  test("when the middleware of another job of the bulk throws: none of the slice is stored", async () => {
    const { held, lock } = locking();
    const fussy: ClientMiddleware = async ({ args }, next) => {
      if (args[0] === 3) throw new Error("no three");
      await next();
    };
    const scene = new Scene(server.url, { middleware: [lock, fussy] });
    await expect(scene.client.pushBulk({ class: "EchoJob", args: [[1], [2], [3], [4]] })).rejects.toThrow("no three");
    expect(held.size).toBe(0);
    expect(await scene.queue()).toEqual([]);
  });
});

describe("a middleware that is wrong", () => {
  test("cannot hide that a push failed", async () => {
    const silent: ClientMiddleware = (_, next) => next().catch(() => {});
    const scene = new Scene(server.url, { middleware: [silent] });
    await expect(scene.client.push({ class: "EchoJob", args: [new Date()] })).rejects.toThrow(AssuranceError);
  });

  test("cannot push a job twice by calling next twice", async () => {
    const scene = new Scene(server.url, {
      middleware: [
        async (_, next) => {
          await next();
          await next();
        },
      ],
    });
    await expect(scene.client.push(job)).rejects.toThrow(/next\(\) was called twice/);
    expect(await scene.queue()).toHaveLength(1);
  });

  test("cannot revive a job that it has stopped", async () => {
    let late: (() => Promise<void>) | undefined;
    const scene = new Scene(server.url, { middleware: [async (_, next) => void (late = next)] });
    expect(await scene.client.push(job)).toBeUndefined();
    await expect(late!()).rejects.toThrow(/after the middleware had returned/);
    expect(await scene.queue()).toEqual([]);
  });

  test("does not end the process when it forgets to await next", async () => {
    const hasty: ClientMiddleware = async (_, next) => void next();
    const scene = new Scene(server.url, { middleware: [hasty] });
    expect(await scene.client.push(job)).toMatch(/^[0-9a-f]{24}$/);
    await expect(scene.client.push({ class: "EchoJob", args: [new Date()] })).rejects.toThrow(/a Date/);
  });

  test("that throws behind next is heard of, and the job is stored all the same", async () => {
    const scene = new Scene(server.url, {
      middleware: [
        async (_, next) => {
          await next();
          throw new Error("behind");
        },
      ],
    });
    await expect(scene.client.push(job)).rejects.toThrow("behind");
    expect(await scene.queue()).toHaveLength(1);
  });

  test("cannot leave a job without what a worker needs", async () => {
    const scene = new Scene(server.url, {
      middleware: [
        (one, next) => {
          one.set("queue", undefined);
          return next();
        },
      ],
    });
    await expect(scene.client.push(job)).rejects.toThrow(/^queue: expected a name/);
  });
});
