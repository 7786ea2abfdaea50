import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import type { Orphan } from "@assured-jobs/core";
import { Scene, versions } from "./support/bull.ts";
import { claimOf, claimed, dead } from "./support/dead.ts";
import { gate, until } from "@assured-jobs/core/testing";
import type { BullmqAdapter } from "../src/index.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

async function onlyOrphan(adapter: BullmqAdapter, scene: Scene, holder = "ghost"): Promise<Orphan> {
  const orphans = await adapter.heldBy(scene.key, [dead(holder)]);
  expect(orphans).toHaveLength(1);
  return orphans[0]!;
}

describe.each(versions)("requeue on $label", (bull) => {
  const open = (): Scene => new Scene(bull, server.url);

  test("gives an orphan back to the front of its queue, and a worker runs it", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [orphaned] = await scene.hold("ghost");
    const behind = await scene.queue.add("work", {});
    const orphan = await onlyOrphan(adapter, scene);
    expect(orphan).toMatchObject({
      queue: scene.key,
      id: orphaned,
      run: 1,
      proof: "ghost:0",
      name: "work",
      holder: "dead.ghost",
    });

    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("requeued");
    expect(await adapter.state(scene.key, orphan.id)).toBe("waiting");

    const ran: string[] = [];
    scene.worker(async (job) => void ran.push(job.id!));
    await until("both ran", () => ran.length === 2);
    expect(ran).toEqual([orphaned, behind.id]);
  });

  test("answers already when it is repeated after a lost reply", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await onlyOrphan(adapter, scene);
    await adapter.requeue(orphan, { delay: 0 });
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("already");
    expect(await scene.queue.getWaitingCount()).toBe(1);
  });

  test("answers already, and leaves the run alone, when somebody else runs it", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await onlyOrphan(adapter, scene);
    await adapter.requeue(orphan, { delay: 0 });
    await scene.fetch("alive");
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("already");
    expect(await scene.lockOf(orphan.id)).toBe("alive:0");
    expect(await adapter.state(scene.key, orphan.id)).toBe("held");
  });

  test("answers already when a newer run has lost its lock: only the run that died is moved", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await onlyOrphan(adapter, scene);
    await adapter.requeue(orphan, { delay: 0 });
    await scene.fetch("alive");
    await scene.lapse(orphan.id);
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("already");
    expect(await adapter.state(scene.key, orphan.id)).toBe("held");
  });

  test("answers already for a new job that has the orphan's id and run number", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [id] = await scene.hold("ghost", [{ opts: { jobId: "invoice-7" } }]);
    const orphan = await onlyOrphan(adapter, scene);
    await adapter.requeue(orphan, { delay: 0 });
    await adapter.discard(scene.key, id!);
    await scene.queue.add("work", {}, { jobId: "invoice-7" });
    await scene.fetch("alive");
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("already");
    expect(await scene.lockOf(id!)).toBe("alive:0");
  });

  test.each(["completed", "failed"] as const)("answers finished for a job that has %s after all", async (end) => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.queue.add("work", {});
    const hand = scene.worker();
    const job = await hand.getNextJob("ghost:0");
    const orphan = await onlyOrphan(adapter, scene);
    if (end === "completed") await job.moveToCompleted("ok", "ghost:0", false);
    else await job.moveToFailed(new Error("no"), "ghost:0", false);
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("finished");
  });

  test("answers vanished for a job that was removed when it completed", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.queue.add("work", {}, { removeOnComplete: true });
    const hand = scene.worker();
    const job = await hand.getNextJob("ghost:0");
    const orphan = await onlyOrphan(adapter, scene);
    await job.moveToCompleted("ok", "ghost:0", false);
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("vanished");
  });

  test("gives an orphan back whose lock has lapsed, known by its claim", async () => {
    const scene = open();
    await scene.hold("ghost");
    const orphan = await onlyOrphan(scene.adapter(), scene);
    await scene.lapse(orphan.id);

    const newcomer = scene.adapter(); // has never seen the lock
    expect(await newcomer.heldBy(scene.key, [dead("ghost")])).toEqual([]);
    const [found] = await newcomer.heldBy(scene.key, [claimed(dead("ghost"), claimOf(orphan))]);
    expect(found).toMatchObject({ id: orphan.id, run: 1, proof: "ghost:0" });
    expect(await newcomer.requeue(found!, { delay: 0 })).toBe("requeued");
    expect(await scene.lockOf(orphan.id)).toBeNull();
    expect(await waitingIds(scene)).toEqual([orphan.id]);
  });

  test("gives an orphan back whose lock has lapsed, known by its last sighting", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await onlyOrphan(adapter, scene);
    await scene.lapse(orphan.id);
    expect(await onlyOrphan(adapter, scene)).toEqual(orphan);
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("requeued");
  });

  test("takes over from a recoverer that died with its lock on the job", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await onlyOrphan(adapter, scene);
    await scene.redis.set(scene.at(`${orphan.id}:lock`), "assured-jobs-adoption:0", "PX", 5_000);
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("requeued");
  });

  test("wakes an idle worker for a prioritized orphan within 500 ms", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [id] = await scene.hold("ghost", [{ opts: { priority: 7 } }]);
    const orphan = await onlyOrphan(adapter, scene);
    const started = gate();
    const worker = scene.worker(async () => started.open(), { drainDelay: 5 });
    await worker.waitUntilReady();
    await until("the worker sleeps", async () => String(await scene.redis.client("LIST")).includes("cmd=bzpopmin"));

    const before = performance.now();
    await adapter.requeue(orphan, { delay: 0 });
    await started.opened;
    expect(performance.now() - before).toBeLessThan(500);
    expect((await scene.queue.getJob(id!))?.priority).toBe(7);
  });

  test("comes back later with a delay, and at once when promoted", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await onlyOrphan(adapter, scene);
    expect(await adapter.requeue(orphan, { delay: 60_000 })).toBe("requeued");
    expect(await scene.queue.getDelayedCount()).toBe(1);
    expect(await adapter.state(scene.key, orphan.id)).toBe("waiting");
    expect((await scene.queue.getJob(orphan.id))?.attemptsMade).toBe(0);

    await adapter.promote(scene.key, orphan.id);
    await adapter.promote(scene.key, orphan.id); // not delayed any more: nothing happens
    const ran = gate();
    scene.worker(async () => ran.open());
    await ran.opened;
  });

  test("waits in a paused queue until it is resumed", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    await scene.queue.pause();
    const ran = gate();
    let runs = 0;
    scene.worker(async () => {
      runs++;
      ran.open();
    });
    await adapter.requeue(await onlyOrphan(adapter, scene), { delay: 0 });
    expect(runs).toBe(0);
    await scene.queue.resume();
    await ran.opened;
  });

  test("a recovered child lets its parent complete", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const flow = new bull.FlowProducer({ connection: scene.connection });
    const queueName = scene.queue.name;
    const tree = await flow.add({ name: "parent", queueName, children: [{ name: "child", queueName }] });
    await scene.fetch("ghost");
    await adapter.requeue(await onlyOrphan(adapter, scene), { delay: 0 });
    scene.worker(async (job) => job.name);
    await until("the parent completed", async () => (await adapter.state(scene.key, tree.job.id!)) === "finished");
    expect(Object.values(await tree.job.getChildrenValues())).toEqual(["child"]);
    await flow.close();
  });

  test("a recovered iteration of a scheduler does not make a second next one", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.queue.upsertJobScheduler("hourly", { every: 3_600_000 }, { name: "tick" });
    await until("fetched", async () => (await scene.fetch("ghost")).length === 1);
    expect(await scene.queue.getDelayedCount()).toBe(1);
    await adapter.requeue(await onlyOrphan(adapter, scene), { delay: 0 });
    const ran = gate();
    const worker = scene.worker(async () => ran.open());
    await ran.opened;
    await worker.close();
    expect(await scene.queue.getDelayedCount()).toBe(1);
    expect(await scene.queue.getWaitingCount()).toBe(0);
  });

  test("frees a queue with global concurrency 1 that a dead worker blocked", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.queue.setGlobalConcurrency(1);
    const [first] = await scene.hold("ghost");
    await scene.queue.add("work", {});
    const ran: string[] = [];
    scene.worker(async (job) => void ran.push(job.id!));
    await adapter.requeue(await onlyOrphan(adapter, scene), { delay: 0 });
    await until("both ran", () => ran.length === 2);
    expect(ran[0]).toBe(first);
  });

  test("keeps the deduplication key of an orphan: a twin is still refused", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [id] = await scene.hold("ghost", [{ opts: { deduplication: { id: "only-one" } } }]);
    await adapter.requeue(await onlyOrphan(adapter, scene), { delay: 0 });
    expect((await scene.queue.add("work", {}, { deduplication: { id: "only-one" } })).id).toBe(id);
  });
});

const waitingIds = async (scene: Scene): Promise<string[]> => (await scene.queue.getWaiting()).map((job) => job.id!);
