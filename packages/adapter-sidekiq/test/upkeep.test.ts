/* What the one on duty does for a queue, what an audit tells of it, and how an orphan comes back. */
import type { DeadHolder, Fleet, Orphan } from "@assured-jobs/core";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SidekiqAdapter, SidekiqAdapterOptions } from "../src/index.ts";
import { Scene } from "./support/scene.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const DAY = 24 * 3_600_000;

const fleetAt = (observed: number, ...living: readonly string[]): Fleet => ({
  observed,
  living: new Set(living),
  mute: new Set(),
});

const dead = (...ids: readonly string[]): DeadHolder => ({ incarnation: {} as never, ids, claims: [] });

let runs = 1_000;

/** A job that `holder` (`host:pid:nonce#life`) took off its queue; its text. */
async function held(scene: Scene, holder: string, text: string = scene.text()): Promise<string> {
  await scene.redis.hset(scene.keys.queue(scene.queue).running, `${holder}:${++runs}`, text);
  return text;
}

const jidOf = (text: string): string => (JSON.parse(text) as { jid: string }).jid;

const jids = (texts: readonly string[]): string[] => texts.map(jidOf);

async function rounds(scene: Scene, adapter: SidekiqAdapter, ...fleets: readonly Fleet[]): Promise<void> {
  for (const fleet of fleets) await adapter.upkeep?.(scene.key, fleet);
}

describe("jobs of holders whom nobody knows", () => {
  test("go back to the front, as they came, after a minute of observed time and not before", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const text = await held(scene, "gone:1:abc#1");
    const other = await scene.push();
    await rounds(scene, adapter, fleetAt(5_000), fleetAt(64_999));
    expect(Object.values(await scene.running())).toEqual([text]);
    await rounds(scene, adapter, fleetAt(65_000));
    expect(await scene.running()).toEqual({});
    const waiting = await scene.waiting();
    expect([waiting.at(-1), jids(waiting)]).toEqual([text, [other, jidOf(text)]]);
  });

  test("observed time counts: where it stands still, nobody loses anything", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    await held(scene, "gone:1:abc#1");
    await rounds(scene, adapter, ...Array.from({ length: 100 }, () => fleetAt(7)));
    expect(Object.keys(await scene.running())).toHaveLength(1);
  });

  test("stay where they are while Sidekiq's own books list their process, and go back a minute after that", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const { redis, keys } = scene;
    await redis.hset(keys.process("bare:1:abc"), "info", "{}");
    await held(scene, "bare:1:abc#1");
    await rounds(scene, adapter, fleetAt(0), fleetAt(60_000), fleetAt(600_000));
    expect(Object.keys(await scene.running())).toHaveLength(1);
    await redis.del(keys.process("bare:1:abc"));
    await rounds(scene, adapter, fleetAt(601_000), fleetAt(660_999));
    expect(Object.keys(await scene.running())).toHaveLength(1);
    await rounds(scene, adapter, fleetAt(661_000));
    expect(await scene.running()).toEqual({});
  });

  test("whose process is listed, but which were given up under that name, go back all the same", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const { redis, keys } = scene;
    await redis.hset(keys.process("busy:1:abc"), "info", "{}");
    await redis.zadd(keys.graves, Date.now(), "busy:1:abc#1");
    const [lost, kept] = [await held(scene, "busy:1:abc#1"), await held(scene, "busy:1:abc#2")];
    await rounds(scene, adapter, fleetAt(0), fleetAt(60_000));
    expect([Object.values(await scene.running()), await scene.waiting()]).toEqual([[kept], [lost]]);
  });

  test("stay when their process still works on them under a former name, as its own books say", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const { redis, keys } = scene;
    await redis.hset(keys.process("busy:1:abc"), "info", "{}");
    await redis.zadd(keys.graves, Date.now(), "busy:1:abc#1");
    await held(scene, "busy:1:abc#1");
    await redis.hset(keys.work("busy:1:abc"), String(runs), "{}");
    await rounds(scene, adapter, fleetAt(0), fleetAt(60_000), fleetAt(600_000));
    expect(Object.keys(await scene.running())).toHaveLength(1);
  });

  test("stay as soon as a living instance has registered the holder; after that the minute begins anew", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    await held(scene, "late:1:abc#1");
    await rounds(scene, adapter, fleetAt(0), fleetAt(50_000, "late:1:abc#1"), fleetAt(70_000), fleetAt(129_999));
    expect(Object.keys(await scene.running())).toHaveLength(1);
    await rounds(scene, adapter, fleetAt(130_000));
    expect(await scene.running()).toEqual({});
  });

  test("are left to their recovery when that has begun", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const [dying, forgotten] = [await held(scene, "dying:1:abc#1"), await held(scene, "forgotten:1:abc#1")];
    expect(await adapter.heldBy(scene.key, [dead("dying:1:abc#1")])).toHaveLength(1);
    await rounds(scene, adapter, fleetAt(0), fleetAt(60_000));
    expect([Object.values(await scene.running()), await scene.waiting()]).toEqual([[dying], [forgotten]]);
  });

  test("two on duty at once give each back once", async () => {
    const scene = new Scene(server.url);
    const both = [scene.adapter(), scene.adapter()];
    const texts: string[] = [];
    for (let n = 0; n < 100; n++) texts.push(await held(scene, `gone:${n % 3}:abc#1`));
    for (const fleet of [fleetAt(0), fleetAt(60_000)])
      await Promise.all(both.map((adapter) => rounds(scene, adapter, fleet)));
    expect([await scene.running(), (await scene.waiting()).toSorted()]).toEqual([{}, texts.toSorted()]);
  });

  test("what we did not write stays, whatever it is", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    await scene.redis.hset(scene.keys.queue(scene.queue).running, "no proof", "x", "", "y");
    await rounds(scene, adapter, fleetAt(0), fleetAt(60_000));
    expect(await scene.running()).toEqual({ "no proof": "x", "": "y" });
  });
});

describe("notes of what was given away", () => {
  test("are kept for days and forgotten after that", async () => {
    const scene = new Scene(server.url);
    const { redis, keys, queue } = scene;
    for (const key of [keys.queue(queue).given, keys.graves])
      await redis.zadd(key, Date.now() - 3.1 * DAY, "old:1:a#1:1", Date.now() - 2.9 * DAY, "young:1:a#1:2");
    await rounds(scene, scene.adapter(), fleetAt(0));
    for (const key of [keys.queue(queue).given, keys.graves])
      expect(await redis.zrange(key, "0", "-1")).toEqual(["young:1:a#1:2"]);
  });
});

describe("an audit", () => {
  test("tells of unknown holders and mends nothing", async () => {
    const scene = new Scene(server.url);
    const adapter = scene.adapter();
    const [unknown] = [await held(scene, "unknown:1:abc#1"), await held(scene, "known:1:abc#1")];
    const findings = await adapter.audit(scene.key, { repair: true, fleet: fleetAt(0, "known:1:abc#1") });
    expect(findings).toMatchObject([{ kind: "sidekiq.unknown-holder", job: jidOf(unknown), repaired: false }]);
    expect(findings[0]?.detail).toContain("unknown:1:abc#1");
    expect(Object.keys(await scene.running())).toHaveLength(2);
  });
});

describe("an orphan", () => {
  const PAYLOAD =
    '{ "retry": true, "queue":"default","class":"Job","args":[1.0,12345678901234567890,{"b":"\\u00e9é","2":[]}],"jid":"odd", "created_at":1795456973.500475, "enqueued_at":1.5, "float":1e20 }';

  async function orphanOf(scene: Scene, adapter: SidekiqAdapter, text: string = PAYLOAD): Promise<Orphan> {
    await held(scene, "gone:1:abc#1", text);
    const [orphan] = await adapter.heldBy(scene.key, [dead("gone:1:abc#1")]);
    return orphan!;
  }

  const open = (options: Partial<SidekiqAdapterOptions> = {}): [Scene, SidekiqAdapter] => {
    const scene = new Scene(server.url);
    return [scene, scene.adapter({ queues: [scene.queue], ...options })];
  };

  test("comes back with a fresh enqueued_at and everything else byte for byte", async () => {
    const [scene, adapter] = open();
    expect(await adapter.requeue(await orphanOf(scene, adapter), { delay: 0 })).toBe("requeued");
    const [text = ""] = await scene.waiting();
    const [, enqueued = ""] = /"enqueued_at":(\d+\.\d+)/.exec(text) ?? [];
    expect(Math.abs(Number(enqueued) * 1_000 - Date.now())).toBeLessThan(5_000);
    expect(text.replace(enqueued, "1.5")).toBe(PAYLOAD);
    expect(await scene.redis.smembers(scene.keys.queues)).toEqual(["default"]);
  });

  test.each([
    ["that nobody can read", Buffer.from([0x7b, 0xff, 0xfe, 0x0a, 0xc3])],
    [
      "with bytes in it that are no UTF-8",
      Buffer.from('{"class":"Job","args":["\xe9"],"jid":"x","queue":"default"}', "latin1"),
    ],
  ])("%s comes back byte for byte", async (_, payload) => {
    const [scene, adapter] = open();
    const { redis, keys, queue } = scene;
    await redis.hset(keys.queue(queue).running, `gone:1:abc#1:${++runs}`, payload);
    const [orphan] = await adapter.heldBy(scene.key, [dead("gone:1:abc#1")]);
    expect(await adapter.requeue(orphan!, { delay: 0 })).toBe("requeued");
    expect(await redis.lrangeBuffer(keys.queue(queue).waiting, 0, -1)).toEqual([payload]);
  });

  test("that came back, ran and failed by itself keeps its time: nobody makes it due but Sidekiq", async () => {
    const [scene, adapter] = open();
    const { redis, keys } = scene;
    for (const key of [keys.retry, keys.schedule]) {
      const text = scene.text({ jid: `in-${key}` });
      await redis.zadd(key, 4_000_000_000, text);
      expect(await adapter.state(scene.key, `in-${key}`)).toBe("waiting");
      await adapter.promote(scene.key, `in-${key}`);
      expect(await redis.zscore(key, text)).toBe("4000000000");
    }
    expect(await scene.waiting()).toEqual([]);
  });

  test("with times in ms where all of Sidekiq is 8", async () => {
    const [scene, adapter] = open({ timestamps: "ms" });
    await adapter.requeue(await orphanOf(scene, adapter), { delay: 0 });
    expect((await scene.waiting())[0]).toMatch(/"enqueued_at":\d{13}\D/);
  });

  test.each([
    ["front of its queue", "front", "default", -1],
    ["far end of its queue", "back", "default", 0],
    ["far end of another queue", { queue: "rescued" }, "rescued", 0],
  ] as const)("goes to the %s when it is told to", async (_, recoverTo, queue, place) => {
    const [scene, adapter] = open({ recoverTo });
    for (let n = 0; n < 3; n++) await scene.push({ queue });
    const orphan = await orphanOf(scene, adapter);
    await adapter.requeue(orphan, { delay: 0 });
    const waiting = await scene.waiting(queue);
    expect(jids(waiting).indexOf("odd")).toBe((waiting.length + place) % waiting.length);
    expect(JSON.parse(waiting.at(place)!)).toMatchObject({ jid: "odd", queue });
    expect(await scene.redis.sismember(scene.keys.queues, queue)).toBe(1);
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("already");
    expect(await scene.waiting(queue)).toHaveLength(4);
  });

  test("with a delay waits beside its queue, and can be made due", async () => {
    const [scene, adapter] = open();
    await adapter.requeue(await orphanOf(scene, adapter), { delay: 60_000 });
    const { parked } = scene.keys.queue(scene.queue);
    const [entry = "", due] = await scene.redis.zrange(parked, "0", "-1", "WITHSCORES");
    expect(Math.abs(Number(due) - Date.now() - 60_000)).toBeLessThan(5_000);
    expect(entry.startsWith("gone:1:abc#1:")).toBe(true);
    expect([await scene.waiting(), await adapter.state(scene.key, "odd")]).toEqual([[], "waiting"]);
    await adapter.promote(scene.key, "odd");
    expect([jids(await scene.waiting()), await scene.redis.exists(parked)]).toEqual([["odd"], 0]);
  });

  test("that nobody can read comes back as it is", async () => {
    const [scene, adapter] = open();
    const orphan = await orphanOf(scene, adapter, "{torn");
    expect(orphan.id).toBe(`run-${orphan.run}`);
    await adapter.requeue(orphan, { delay: 0 });
    expect(await scene.waiting()).toEqual(["{torn"]);
  });

  test("leaves Sidekiq's list of what its process works on", async () => {
    const [scene, adapter] = open();
    const { redis, keys } = scene;
    const orphan = await orphanOf(scene, adapter);
    for (const key of [keys.work("gone:1:abc"), keys.workers("gone:1:abc")])
      await redis.hset(key, String(orphan.run), "{}", "7", "{}");
    await adapter.requeue(orphan, { delay: 0 });
    expect(await redis.hkeys(keys.work("gone:1:abc"))).toEqual(["7"]);
    expect(await redis.hkeys(keys.workers("gone:1:abc"))).toEqual(["7"]);
  });

  test("several are found newest first, so that the oldest is the next to run", async () => {
    const [scene, adapter] = open();
    const texts: string[] = [];
    for (let n = 0; n < 20; n++) texts.push(await held(scene, `gone:${n % 2}:abc#1`));
    const orphans = await adapter.heldBy(scene.key, [dead("gone:0:abc#1", "gone:1:abc#1")]);
    for (const orphan of orphans) await adapter.requeue(orphan, { delay: 0 });
    expect(jids(await scene.waiting()).toReversed()).toEqual(jids(texts));
  });

  test("a hundred that are given back at once by two recoverers come back once each, in that order", async () => {
    const [scene, adapter] = open();
    const other = scene.adapter();
    const texts: string[] = [];
    for (let n = 0; n < 100; n++) texts.push(await held(scene, "gone:1:abc#1"));
    const give = async (one: SidekiqAdapter): Promise<string[]> => {
      const orphans = await one.heldBy(scene.key, [dead("gone:1:abc#1")]);
      return Promise.all(orphans.map((orphan) => one.requeue(orphan, { delay: 0 })));
    };
    const outcomes = (await Promise.all([give(adapter), give(other)])).flat();
    expect(outcomes.filter((outcome) => outcome === "requeued")).toHaveLength(100);
    expect(jids(await scene.waiting()).toSorted()).toEqual(jids(texts).toSorted());
  });

  test("that was buried stands in the dead set with the reason, and everything else as it was", async () => {
    const [scene, adapter] = open();
    const orphan = await orphanOf(scene, adapter);
    expect(await adapter.bury(orphan, "it kills")).toBe("buried");
    const [text = ""] = await scene.redis.zrange(scene.keys.dead, "0", "-1");
    expect(JSON.parse(text)).toMatchObject({ error_class: "AssuredJobs::PoisonPill", error_message: "it kills" });
    expect(text.replace(/,"error_class".*(?= \}$)/, "")).toBe(PAYLOAD);
    expect([await adapter.bury(orphan, "again"), await adapter.requeue(orphan, { delay: 0 })]).toEqual([
      "already",
      "already",
    ]);
    expect(await scene.redis.zcard(scene.keys.dead)).toBe(1);
    await adapter.release(scene.key, "odd");
    const [back = ""] = await scene.waiting();
    expect(back.replace(/"enqueued_at":[\d.]+/, '"enqueued_at":1.5')).toBe(PAYLOAD);
  });

  test("of which nothing is left has finished", async () => {
    const [scene, adapter] = open();
    const orphan = await orphanOf(scene, adapter);
    await scene.redis.del(scene.keys.queue(scene.queue).running);
    expect(await adapter.requeue(orphan, { delay: 0 })).toBe("finished");
    expect([await scene.waiting(), await adapter.state(scene.key, "odd")]).toEqual([[], "missing"]);
  });
});
