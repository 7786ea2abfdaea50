import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import type { Orphan } from "@assured-jobs/core";
import { Scene, versions } from "./support/bull.ts";
import { dead } from "./support/dead.ts";
import { gate, until } from "@assured-jobs/core/testing";
import type { BullmqAdapter } from "../src/index.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const REASON = "killed 3 processes";

describe.each(versions)("burial and manual actions on $label", (bull) => {
  const open = (): Scene => new Scene(bull, server.url);

  const orphanOf = async (adapter: BullmqAdapter, scene: Scene): Promise<Orphan> =>
    (await adapter.heldBy(scene.key, [dead("ghost")]))[0]!;

  test("a buried job is kept with its reason, whatever its attempts and removeOnFail say", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost", [{ opts: { removeOnFail: true, attempts: 10 } }]);
    const orphan = await orphanOf(adapter, scene);
    expect(await adapter.bury(orphan, REASON)).toBe("buried");
    expect(await adapter.state(scene.key, orphan.id)).toBe("failed");
    expect((await scene.queue.getJob(orphan.id))!.failedReason).toBe(REASON);
  });

  test("a buried job is not trimmed away by jobs that fail later", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await orphanOf(adapter, scene);
    await adapter.bury(orphan, REASON);
    const fail = async (): Promise<void> => {
      throw new Error("broken");
    };
    scene.worker(fail, { removeOnFail: { count: 1 } });
    const last = await scene.queue.addBulk([1, 2, 3].map((n) => ({ name: `${n}`, data: {} })));
    await until("they failed", async () => (await adapter.state(scene.key, last[2]!.id!)) !== "waiting");
    await until("trimmed", async () => (await scene.queue.getFailedCount()) === 1);
    await adapter.release(scene.key, orphan.id);
  });

  test("burying again after a lost reply changes nothing, and the job stays buried", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await orphanOf(adapter, scene);
    await adapter.bury(orphan, REASON);
    expect(await adapter.bury(orphan, REASON)).toBe("already");
    expect(await adapter.bury(orphan, "another reason")).toBe("finished");
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("finished");
  });

  test("a job whose lock has lapsed can be buried", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await orphanOf(adapter, scene);
    await scene.lapse(orphan.id);
    expect(await adapter.bury(orphan, REASON)).toBe("buried");
  });

  test("a job that runs elsewhere, or is gone, is not buried", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost", [{}]);
    const orphan = await orphanOf(adapter, scene);
    await adapter.requeue(orphan, { delay: 0 });
    expect(await adapter.bury(orphan, REASON)).toBe("already");
    await scene.fetch("other");
    expect(await adapter.bury(orphan, REASON)).toBe("already");
    expect(await adapter.state(scene.key, orphan.id)).toBe("held");
    expect(await adapter.bury({ ...orphan, id: "nobody" }, REASON)).toBe("vanished");
  });

  test("a later run of the same job is not buried for an earlier death", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await orphanOf(adapter, scene);
    await adapter.requeue(orphan, { delay: 0 });
    await scene.fetch("ghost"); // what it had sent before it died arrives late, with the same token
    expect(await adapter.bury(orphan, REASON)).toBe("already");
    expect(await orphanOf(adapter, scene)).toMatchObject({ id: orphan.id, run: 2, proof: orphan.proof });
  });

  test("a released job runs again", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await orphanOf(adapter, scene);
    await adapter.bury(orphan, REASON);
    const ran = gate();
    scene.worker(async () => ran.open());
    await adapter.release(scene.key, orphan.id);
    await ran.opened;
  });

  test("a released job takes its deduplication key again", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const deduplication = { id: "only-one" };
    await scene.hold("ghost", [{ opts: { deduplication } }]);
    const orphan = await orphanOf(adapter, scene);
    await adapter.bury(orphan, REASON);
    await adapter.release(scene.key, orphan.id);
    expect((await scene.queue.add("twin", {}, { deduplication })).id).toBe(orphan.id);
  });

  test("a job is not released beside a twin that has its deduplication key", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const deduplication = { id: "only-one" };
    await scene.hold("ghost", [{ opts: { deduplication } }]);
    const orphan = await orphanOf(adapter, scene);
    await adapter.bury(orphan, REASON);
    const twin = await scene.queue.add("twin", {}, { deduplication });
    expect(twin.id).not.toBe(orphan.id);
    const refused = adapter.release(scene.key, orphan.id);
    await expect(refused).rejects.toMatchObject({ code: "ERR_ACTION_REFUSED" });
    await expect(refused).rejects.toThrow(twin.id!);
    expect(await adapter.state(scene.key, orphan.id)).toBe("failed");
    await twin.remove();
    await adapter.release(scene.key, orphan.id);
  });

  test("a burial that was cut off half-way is completed by the next try", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.hold("ghost");
    const orphan = await orphanOf(adapter, scene);
    await adapter.bury(orphan, REASON);
    await scene.redis.zadd(scene.at("failed"), Date.now(), orphan.id); // as BullMQ left it
    await expect(adapter.release(scene.key, orphan.id)).rejects.toThrow(/Retry it instead/);
    expect(await adapter.bury(orphan, REASON)).toBe("already");
    await adapter.release(scene.key, orphan.id);
  });

  test("only a failed job is retried or released", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const job = await scene.queue.add("work", {});
    for (const act of ["retry", "release"] as const) {
      await expect(adapter[act](scene.key, job.id!)).rejects.toMatchObject({ code: "ERR_ACTION_REFUSED" });
      await expect(adapter[act](scene.key, "nobody")).rejects.toMatchObject({ code: "ERR_ACTION_REFUSED" });
    }
    await scene.fetch("ghost");
    await adapter.bury(await orphanOf(adapter, scene), REASON);
    await adapter.retry(scene.key, job.id!);
    expect(await adapter.state(scene.key, job.id!)).toBe("waiting");
  });

  test("a job that a worker holds is not discarded, any other one is", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const [held] = await scene.hold("ghost");
    await expect(adapter.discard(scene.key, held!)).rejects.toMatchObject({ code: "ERR_ACTION_REFUSED" });
    await scene.lapse(held!); // its holder may still live
    await expect(adapter.discard(scene.key, held!)).rejects.toMatchObject({ code: "ERR_ACTION_REFUSED" });
    const waiting = await scene.queue.add("work", {});
    await adapter.discard(scene.key, waiting.id!);
    expect(await adapter.state(scene.key, waiting.id!)).toBe("missing");
    await expect(adapter.discard(scene.key, waiting.id!)).rejects.toMatchObject({ code: "ERR_ACTION_REFUSED" });
  });

  test("the next iteration of a scheduler is not discarded, and the refusal says what to do", async () => {
    const scene = open();
    const adapter = scene.adapter();
    await scene.queue.upsertJobScheduler("hourly", { pattern: "0 0 1 1 *" }, { name: "tick" });
    const [next] = await until("planned", async () => {
      const delayed = await scene.queue.getDelayed();
      return delayed.length > 0 && delayed;
    });
    await expect(adapter.discard(scene.key, next!.id!)).rejects.toThrow(/Remove the scheduler/);
  });

  test("state tells where a job is", async () => {
    const scene = open();
    const adapter = scene.adapter();
    const state = (id: string) => adapter.state(scene.key, id);
    expect(await state("nobody")).toBe("missing");
    const later = await scene.queue.add("work", {}, { delay: 60_000 });
    expect(await state(later.id!)).toBe("waiting");
    const [held] = await scene.hold("ghost");
    expect(await state(held!)).toBe("held");
    const done = await scene.queue.add("work", {}, { priority: 1 });
    expect(await state(done.id!)).toBe("waiting");
    scene.worker(async () => {});
    await until("finished", async () => (await state(done.id!)) === "finished");
  });
});
