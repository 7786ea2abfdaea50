/* What the one on duty does for a queue, and what an audit tells of it. */
import type { Fleet } from "@assured-jobs/core";
import { createHash } from "node:crypto";
import { gate, RecordingHost, until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BeeAdapter } from "../src/index.ts";
import { fateKeys } from "../src/requeue.ts";
import { requeueUnreadable } from "../src/scripts/unreadable.ts";
import { Scene } from "./support/bee.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const STALL = 100;

const fleetAt = (observed: number, ...living: readonly string[]): Fleet => ({
  observed,
  living: new Set(living),
  mute: new Set(),
});

/** What a worker of Bee's own leaves when it dies between its fetch and its handler, or in mid-run. */
async function stray(scene: Scene): Promise<string> {
  const id = await scene.add();
  await scene.redis.lmove(scene.keys.waiting, scene.keys.active, "RIGHT", "LEFT");
  return id;
}

/** A tick of the stall rule, as soon as Bee's own limit lets it come. */
async function tick(scene: Scene, adapter: BeeAdapter): Promise<void> {
  await until("the last tick is over", async () => (await scene.redis.exists(scene.keys.stallBlock)) === 0);
  await adapter.upkeep?.(scene.key, fleetAt(0));
}

describe("jobs that are active and nobody's", () => {
  test("go back to the front after two ticks of Bee's own stall rule", async () => {
    const scene = new Scene(server.url, { stallInterval: STALL });
    const adapter = scene.adapter();
    const id = await stray(scene);
    await scene.add();
    await tick(scene, adapter);
    expect(await scene.active()).toEqual([id]);
    await tick(scene, adapter);
    expect(await scene.active()).toEqual([]);
    expect((await scene.waiting()).at(-1)).toBe(id);
  });

  test("stay with a worker without assurance as long as it keeps them, and a person is told once", async () => {
    const scene = new Scene(server.url, { stallInterval: STALL });
    const host = new RecordingHost();
    const adapter = scene.adapter();
    await adapter.attach(host);
    const bare = scene.open({ stallInterval: STALL });
    const { opened, open } = gate();
    let starts = 0;
    bare.process(() => (starts++, opened));
    const id = await scene.add();
    await until("it runs", () => starts === 1);
    for (let n = 0; n < 5; n++) await tick(scene, adapter);
    expect([await scene.active(), starts]).toEqual([[id], 1]);
    expect(new Set(host.warnings).size).toBe(1);
    expect(host.warnings[0]).toContain(`${scene.key} has workers without assurance`);
    open();
    await until("it has succeeded", async () => (await scene.redis.sismember(scene.keys.succeeded, id)) === 1);
  });

  test("go back after two seconds where all workers are assured, and not before", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter({ queues: [scene.queue], unclaimed: "sweep" });
    const id = await stray(scene);
    await adapter.upkeep?.(scene.key, fleetAt(10_000));
    await adapter.upkeep?.(scene.key, fleetAt(11_999));
    expect(await scene.active()).toEqual([id]);
    await adapter.upkeep?.(scene.key, fleetAt(12_000));
    expect([await scene.active(), await scene.waiting()]).toEqual([[], [id]]);
  });

  test("a thousand of them go back, a part at each tick, and none twice", async () => {
    const scene = new Scene(server.url, { stallInterval: STALL });
    const adapter = scene.adapter();
    await scene.queue.saveAll(Array.from({ length: 1_000 }, () => scene.queue.createJob({})));
    for (let n = 0; n < 1_000; n++) await scene.redis.lmove(scene.keys.waiting, scene.keys.active, "RIGHT", "LEFT");
    await until("all are back", async () => {
      await tick(scene, adapter);
      return (await scene.active()).length === 0;
    });
    const waiting = await scene.waiting();
    expect([waiting.length, new Set(waiting).size]).toEqual([1_000, 1_000]);
  });

  test("Bee's own check, which would take longer, is kept quiet", async () => {
    const scene = new Scene(server.url);
    await scene.adapter().upkeep?.(scene.key, fleetAt(0));
    expect(await scene.redis.pttl(scene.keys.stallBlock)).toBeGreaterThan(4_000);
  });
});

describe("jobs of holders whom nobody knows", () => {
  test("go back after a minute, unless their recovery is on its way", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const [forgotten, dying] = [await stray(scene), await stray(scene)];
    await scene.redis.hset(scene.keys.owner, forgotten, "forgotten:1:1", dying, "dying:1:2");
    const dead = { incarnation: {} as never, ids: ["dying"], claims: [] };
    expect((await adapter.heldBy(scene.key, [dead])).map(({ id }) => id)).toEqual([dying]);
    await adapter.upkeep?.(scene.key, fleetAt(0));
    await adapter.upkeep?.(scene.key, fleetAt(59_999));
    expect((await scene.active()).length).toBe(2);
    await adapter.upkeep?.(scene.key, fleetAt(60_000));
    expect([await scene.active(), await scene.waiting()]).toEqual([[dying], [forgotten]]);
  });

  test("stay where they are as soon as a living instance registers the holder", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const id = await stray(scene);
    await scene.redis.hset(scene.keys.owner, id, "late:1:1");
    await adapter.upkeep?.(scene.key, fleetAt(0));
    await adapter.upkeep?.(scene.key, fleetAt(50_000, "late"));
    await adapter.upkeep?.(scene.key, fleetAt(70_000));
    expect(await scene.active()).toEqual([id]);
  });
});

/* Torn, of another version, of another program; and bytes that no client gives back as it got them. */
const UNREADABLE = ["", "torn:1", "holder:1:2:3", '{"holder":"x"}', Buffer.from([0xff, 0x00, 0xfe])] as const;

describe("jobs with a record of their owner that nobody can read", () => {
  async function unreadable(scene: Scene): Promise<string[]> {
    const ids: string[] = [];
    for (const record of UNREADABLE) {
      const id = await stray(scene);
      await scene.redis.hset(scene.keys.owner, id, record);
      ids.push(id);
    }
    return ids;
  }

  test("go back after a minute, and not before; a person is told of each", async () => {
    const scene = new Scene(server.url);
    const host = new RecordingHost();
    const adapter = scene.adapter();
    await adapter.attach(host);
    const ids = await unreadable(scene);
    await adapter.upkeep?.(scene.key, fleetAt(0));
    await adapter.upkeep?.(scene.key, fleetAt(59_999));
    expect([(await scene.active()).toSorted(), host.warnings]).toEqual([ids.toSorted(), []]);
    await adapter.upkeep?.(scene.key, fleetAt(60_000));
    expect([await scene.active(), await scene.owners()]).toEqual([[], {}]);
    expect((await scene.waiting()).toSorted()).toEqual(ids.toSorted());
    for (const id of ids) expect(host.warnings.filter((text) => text.includes(`Job ${id} of`))).toHaveLength(1);
  });

  test("run then, also when Bee's stall check had put them back before", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const id = await scene.add();
    await scene.redis.hset(scene.keys.owner, id, "torn");
    const worker = scene.open();
    const host = new RecordingHost();
    const elsewhere = scene.adapter({ queues: [worker] });
    await elsewhere.attach(host);
    worker.process(async () => 1);
    await until("it was put aside by a fetch", async () => (await scene.redis.zcard(scene.keys.parked)) === 1);
    await adapter.upkeep?.(scene.key, fleetAt(0));
    await adapter.upkeep?.(scene.key, fleetAt(60_000));
    await until("it has succeeded", async () => (await scene.redis.sismember(scene.keys.succeeded, id)) === 1);
    expect(host.runs.map(({ run }) => run.id)).toEqual([id]);
  });

  test("stay where they are when the record has changed meanwhile, or changes at the last moment", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const id = await stray(scene);
    await scene.redis.hset(scene.keys.owner, id, "torn");
    await adapter.upkeep?.(scene.key, fleetAt(0));
    await scene.redis.hset(scene.keys.owner, id, "torn otherwise");
    await adapter.upkeep?.(scene.key, fleetAt(60_000));
    expect(await scene.active()).toEqual([id]);
    const where = fateKeys(scene.keys);
    const run = (hash: string): Promise<unknown> =>
      scene.redis.eval(requeueUnreadable.lua, requeueUnreadable.keys, ...where, id, hash, 0);
    const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex");
    expect([await run(sha1("torn")), await scene.active()]).toEqual(["already", [id]]);
    expect([await run(sha1("torn otherwise")), await scene.active()]).toEqual(["requeued", []]);
    expect(await run(sha1("torn otherwise"))).toBe("already");
  });

  test("whose job is gone as well leave nothing", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    await scene.redis.hset(scene.keys.owner, "gone", "torn");
    await adapter.upkeep?.(scene.key, fleetAt(0));
    await adapter.upkeep?.(scene.key, fleetAt(60_000));
    expect([await scene.owners(), await scene.waiting()]).toEqual([{}, []]);
  });

  test("are told by an audit", async () => {
    const scene = new Scene(server.url);
    const ids = await unreadable(scene);
    const findings = await scene.adapter().audit(scene.key, { repair: true, fleet: fleetAt(0) });
    expect(new Set(findings.map(({ kind, repaired }) => `${kind} ${repaired}`))).toEqual(
      new Set(["bee.unreadable-owner false"]),
    );
    expect(new Set(findings.map(({ job }) => job))).toEqual(new Set(ids));
    expect((await scene.active()).toSorted()).toEqual(ids.toSorted());
  });
});

describe("an audit", () => {
  test("tells phantoms, the unclaimed and unknown holders, and mends the phantoms only when told to", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const unclaimed = await stray(scene);
    const unknown = await stray(scene);
    await scene.redis.hset(scene.keys.owner, unknown, "unknown:1:1");
    await scene.redis.lpush(scene.keys.active, "phantom");
    const found = async (repair: boolean): Promise<unknown[]> =>
      (await adapter.audit(scene.key, { repair, fleet: fleetAt(0) })).map(({ kind, job, repaired }) => [
        kind,
        job,
        repaired,
      ]);
    const rest = [
      ["bee.unclaimed", unclaimed, false],
      ["bee.unknown-holder", unknown, false],
    ];
    expect(await found(false)).toEqual([["bee.phantom", "phantom", false], ...rest]);
    expect(await found(true)).toEqual([["bee.phantom", "phantom", true], ...rest]);
    expect(await found(true)).toEqual(rest);
    expect((await scene.active()).toSorted()).toEqual([unclaimed, unknown].toSorted());
  });

  test("upkeep drops phantoms by itself", async () => {
    const scene = new Scene(server.url);
    await scene.redis.lpush(scene.keys.active, "phantom");
    await scene.adapter().upkeep?.(scene.key, fleetAt(0));
    expect([await scene.active(), await scene.waiting()]).toEqual([[], []]);
  });
});

describe("burial", () => {
  test("fails the job as Bee would, keeps it, and tells its producer", async () => {
    const scene = new Scene(server.url, { getEvents: true, removeOnFailure: true });
    const producer = scene.open({ isWorker: false, getEvents: true });
    await producer.ready();
    const job = await producer.createJob({ big: "12345678901234567890", list: [] }).save();
    const told = new Promise<Error>((resolve) => job.on("failed", resolve));
    await scene.redis.lmove(scene.keys.waiting, scene.keys.active, "RIGHT", "LEFT");
    await scene.redis.hset(scene.keys.owner, job.id, "dead:1:1");
    const adapter = scene.adapter();
    const dead = { incarnation: {} as never, ids: ["dead"], claims: [] };
    const [orphan] = await adapter.heldBy(scene.key, [dead]);
    expect(await adapter.bury(orphan!, "it kills")).toBe("buried");
    expect((await told).message).toBe("it kills");
    const row = JSON.parse((await scene.redis.hget(scene.keys.jobs, job.id)) ?? "");
    expect(row).toMatchObject({ status: "failed", data: { big: "12345678901234567890", list: [] } });
    expect(row.options.stacktraces).toEqual(["it kills"]);
    expect((await producer.getJobs("failed", { size: 10 })).map(({ id }) => id)).toEqual([job.id]);
  });
});
