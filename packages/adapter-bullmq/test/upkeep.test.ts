import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { Scene, versions } from "./support/bull.ts";
import { dead, fleet } from "./support/dead.ts";
import { gate, RecordingHost, until } from "@assured-jobs/core/testing";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const RULE = 30_000;

describe.each(versions)("upkeep on $label", (bull) => {
  const open = (): Scene => new Scene(bull, server.url);

  test("BullMQ's own stall check stays quiet while somebody is on duty", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [id] = await scene.hold("ghost");
    await scene.redis.sadd(scene.at("stalled"), id!); // the mark of an earlier check
    await scene.lapse(id!);
    await adapter.upkeep!(scene.key, fleet());
    const stalled: string[] = [];
    const worker = scene.worker(async () => {}, { concurrency: 1 });
    worker.on("stalled", (job) => stalled.push(job));
    await worker.waitUntilReady();
    await worker.startStalledCheckTimer();
    expect(await scene.redis.smembers(scene.at("stalled"))).toEqual([]);
    expect(await adapter.state(scene.key, id!)).toBe("held");
    expect(stalled).toEqual([]);
    expect(await scene.redis.pttl(scene.at("stalled-check"))).toBeLessThanOrEqual(30_000);
  });

  test("BullMQ's own stall check is back when nobody is on duty any more", async () => {
    const scene = open();
    const [id] = await scene.hold("ghost");
    await scene.adapter().upkeep!(scene.key, fleet());
    await scene.redis.del(scene.at("stalled-check")); // what its ttl does
    await scene.lapse(id!);
    const ran = gate();
    scene.worker(async () => ran.open(), { stalledInterval: 50 });
    await ran.opened;
  });

  test("a worker that lives may stall as often as it likes: BullMQ never fails its job for that", async () => {
    const scene = open();
    const [id] = await scene.hold("ghost");
    await scene.redis.hset(scene.at(id!), "stc", 5);
    await scene.lapse(id!);
    const ran = gate();
    const worker = scene.worker(async () => ran.open(), { stalledInterval: 50, maxStalledCount: 1, autorun: false });
    await scene.adapter({ workers: [worker] }).attach(new RecordingHost());
    void worker.run();
    await ran.opened;
  });

  test("renews the locks of those who live but cannot, also when the lock is already gone", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [short, gone, others] = await scene.hold("mute", [{}, {}, {}]);
    const locks = await Promise.all([short, gone, others].map((id) => scene.lockOf(id!)));
    const mute = fleet({ mute: ["mute"] });
    await adapter.upkeep!(scene.key, mute);
    await scene.redis.pexpire(scene.at(`${short}:lock`), 500);
    await scene.lapse(gone!);
    await scene.redis.set(scene.at(`${others}:lock`), "other:0");

    await adapter.upkeep!(scene.key, mute);
    expect(await scene.lockOf(gone!)).toBe(locks[1]);
    expect(await scene.redis.pttl(scene.at(`${gone}:lock`))).toBeGreaterThan(20_000);
    expect(await scene.redis.pttl(scene.at(`${short}:lock`))).toBeGreaterThan(20_000);
    expect(await scene.lockOf(others!)).toBe("other:0");
  });

  test("never shortens a lock: its worker renews it by its own duration", async () => {
    const scene = open();
    const [id] = await scene.hold("mute");
    await scene.redis.pexpire(scene.at(`${id}:lock`), 600_000);
    await scene.adapter().upkeep!(scene.key, fleet({ mute: ["mute"] }));
    expect(await scene.redis.pttl(scene.at(`${id}:lock`))).toBeGreaterThan(590_000);
  });

  test("puts no lock back on a run that was given away", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [id] = await scene.hold("mute");
    await adapter.upkeep!(scene.key, fleet({ mute: ["mute"] }));
    const [orphan] = await adapter.heldBy(scene.key, [dead("mute")]);
    await adapter.requeue(orphan!, { delay: 0 });
    await scene.fetch("other");
    await scene.lapse(id!);
    await adapter.upkeep!(scene.key, fleet({ mute: ["mute"] }));
    expect(await scene.lockOf(id!)).toBeNull();
  });

  test("the locks of un-tracked jobs lapse as they would without us", async () => {
    const scene = open();
    const adapter = scene.adapter({ queues: [scene.queue], track: { only: ["charge"] } });
    const [id] = await scene.hold("mute");
    await adapter.upkeep!(scene.key, fleet({ mute: ["mute"] }));
    await scene.lapse(id!);
    await adapter.upkeep!(scene.key, fleet({ mute: ["mute"] }));
    expect(await scene.lockOf(id!)).toBeNull();
  });

  test("a job without assurance whose lock is gone goes back after BullMQ's own time, counted as a stall", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [id] = await scene.hold("stranger", [{ opts: { priority: 3 } }]);
    await scene.lapse(id!);
    await adapter.upkeep!(scene.key, fleet({ observed: 1_000 }));
    await adapter.upkeep!(scene.key, fleet({ observed: 1_000 + RULE - 1 }));
    expect(await adapter.state(scene.key, id!)).toBe("held");
    await adapter.upkeep!(scene.key, fleet({ observed: 1_000 + RULE }));
    expect(await adapter.state(scene.key, id!)).toBe("waiting");
    expect((await scene.queue.getJob(id!))!.stalledCounter).toBe(1);
    const events = await scene.redis.xrange(scene.at("events"), "-", "+");
    expect(events.filter(([, fields]) => fields.includes("stalled"))).toHaveLength(1);
  });

  test("over the user's limit such a job is failed by the next worker, as BullMQ does", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [id] = await scene.hold("stranger", [{ opts: { attempts: 5 } }]);
    await scene.redis.hset(scene.at(id!), "stc", 1);
    await scene.lapse(id!);
    await adapter.upkeep!(scene.key, fleet({ observed: 0 }));
    await adapter.upkeep!(scene.key, fleet({ observed: RULE }));
    let runs = 0;
    scene.worker(async () => void runs++);
    await until("failed", async () => (await adapter.state(scene.key, id!)) === "failed");
    expect(runs).toBe(0);
    expect((await scene.queue.getJob(id!))!.failedReason).toContain("stalled more than allowable limit");
  });

  test("a job whose lock comes back in time is left alone", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [id] = await scene.hold("stranger");
    await scene.lapse(id!);
    await adapter.upkeep!(scene.key, fleet({ observed: 0 }));
    await scene.redis.set(scene.at(`${id}:lock`), "stranger:0");
    await adapter.upkeep!(scene.key, fleet({ observed: RULE }));
    await scene.lapse(id!);
    await adapter.upkeep!(scene.key, fleet({ observed: 2 * RULE }));
    expect(await adapter.state(scene.key, id!)).toBe("held");
  });

  test("a living holder gets twice the time to notice that its lock is gone", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [id] = await scene.hold("alive");
    const at = (observed: number) => fleet({ observed, living: ["alive"] });
    await adapter.upkeep!(scene.key, at(0));
    await scene.lapse(id!);
    await adapter.upkeep!(scene.key, at(1_000));
    await adapter.upkeep!(scene.key, at(60_000));
    expect(await adapter.state(scene.key, id!)).toBe("held");
    await adapter.upkeep!(scene.key, at(61_000)); // it lives and does not renew: its worker has lost the job
    expect(await adapter.state(scene.key, id!)).toBe("waiting");
  });

  test("an orphan under recovery is left to its recovery", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [id] = await scene.hold("ghost");
    await adapter.upkeep!(scene.key, fleet());
    await scene.lapse(id!);
    await adapter.upkeep!(scene.key, fleet({ observed: 1 }));
    expect(await adapter.heldBy(scene.key, [dead("ghost")])).toHaveLength(1);
    await adapter.upkeep!(scene.key, fleet({ observed: 2 * RULE }));
    expect(await adapter.state(scene.key, id!)).toBe("held");
  });

  test("a phantom no longer counts for the queue's global concurrency", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.queue.setGlobalConcurrency(1);
    await scene.redis.lpush(scene.at("active"), "phantom");
    const ran = gate();
    scene.worker(async () => ran.open());
    await adapter.upkeep!(scene.key, fleet());
    await scene.queue.add("work", {});
    await ran.opened;
  });

  test("the audit names phantoms, jobs without a lock and unknown holders, and mends only phantoms", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [unlocked, unknown, ours] = await scene.hold("x", [{}, {}, {}]);
    await scene.redis.set(scene.at(`${ours}:lock`), "alive:0");
    await scene.lapse(unlocked!);
    await scene.redis.lpush(scene.at("active"), "phantom");
    const living = fleet({ living: ["alive"] });
    const kinds = async (repair: boolean) =>
      (await adapter.audit(scene.key, { repair, fleet: living })).map(({ kind, job, repaired }) => ({
        kind,
        job,
        repaired,
      }));
    const others = [
      { kind: "bullmq.unknown-holder", job: unknown, repaired: false },
      { kind: "bullmq.unlocked", job: unlocked, repaired: false },
    ];
    expect(await kinds(false)).toEqual([{ kind: "bullmq.phantom", job: "phantom", repaired: false }, ...others]);
    expect(await kinds(true)).toEqual([{ kind: "bullmq.phantom", job: "phantom", repaired: true }, ...others]);
    expect(await kinds(true)).toEqual(others);
  });
});
