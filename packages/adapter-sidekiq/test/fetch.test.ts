/* The fetch: a job is in some key at every moment, queues are looked through in their order, and what a lost answer would
 * have brought goes back. On a real Redis, with a path to it that the test can break. */
import { gate, RecordingHost, until } from "@assured-jobs/core/testing";
import { startProxy } from "@assured-jobs/dev-proxy";
import type { ProxyHandle } from "@assured-jobs/dev-proxy";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { SidekiqJob, SidekiqWorker, SidekiqWorkerOptions } from "../src/index.ts";
import { engineOf } from "../src/worker/worker.ts";
import { Scene } from "./support/scene.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

/** Every job that Redis knows, wherever it is, in one look. */
const EVERYWHERE = `
  local found = redis.call('LRANGE', KEYS[1], 0, -1)
  for _, text in ipairs(redis.call('HVALS', KEYS[2])) do found[#found + 1] = text end
  for _, entry in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do found[#found + 1] = (string.gsub(entry, '^%S+ ', '')) end
  for _, text in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do found[#found + 1] = text end
  return found`;

async function everywhere({ redis, keys, queue }: Scene): Promise<string[]> {
  const { waiting, running, parked } = keys.queue(queue);
  const found = (await redis.eval(EVERYWHERE, 4, waiting, running, parked, keys.retry)) as string[];
  return found.map((text) => (JSON.parse(text) as { jid: string }).jid).toSorted();
}

async function pushMany(scene: Scene, count: number, queue: string = scene.queue): Promise<string[]> {
  const jids: string[] = [];
  for (let n = 0; n < count; n++) jids.push(await scene.push({ queue }));
  return jids;
}

/** A worker that notes what it starts, and runs it. */
function working(
  scene: Scene,
  options: Partial<SidekiqWorkerOptions>,
  perform: (job: SidekiqJob) => unknown = () => {},
): { worker: SidekiqWorker; started: SidekiqJob[] } {
  const started: SidekiqJob[] = [];
  const Job = (job: SidekiqJob): unknown => (started.push(job), perform(job));
  return { worker: scene.worker({ handlers: { Job }, ...options }), started };
}

const jidsOf = (jobs: readonly SidekiqJob[]): string[] => jobs.map(({ jid }) => jid);

describe("at no moment a job is in no key", () => {
  test("on its way from the queue through its run into the retries: always there, once", async () => {
    const scene = new Scene(server.url);
    const jids = (await pushMany(scene, 300)).toSorted();
    const { worker } = working(scene, { concurrency: 7 }, async () => {
      await sleep(Math.random() * 5);
      throw new Error("on purpose");
    });
    await worker.start();
    let looks = 0;
    for (let left = jids.length; left > 0; left = jids.length - (await scene.redis.zcard(scene.keys.retry))) {
      expect(await everywhere(scene)).toEqual(jids);
      looks++;
    }
    expect(await everywhere(scene)).toEqual(jids);
    expect(looks).toBeGreaterThan(20);
  });

  test("when the script fails half-way, too: left where it was, or there twice, never nowhere", async () => {
    for (const broken of ["running", "work"] as const) {
      const scene = new Scene(server.url);
      const { worker, started } = working(scene, { concurrency: 1 });
      const key = broken === "work" ? scene.keys.work(worker.identity) : scene.keys.queue(scene.queue).running;
      const told: string[] = [];
      worker.on("error", (error) => told.push(String(error)));
      await worker.start();
      await scene.redis.set(key, "not a hash");
      const jid = await scene.push();
      await until("the fetch has failed", () => told.some((text) => text.includes("WRONGTYPE")));
      expect(await scene.waiting()).toContainEqual(expect.stringContaining(jid));
      expect(started).toEqual([]);
      await scene.redis.del(key);
      await until("it runs", () => jidsOf(started).includes(jid));
      await worker.stop();
    }
  });
});

describe("order", () => {
  test("of one queue: first in, first out, and what is put in front is next", async () => {
    const scene = new Scene(server.url);
    const jids = await pushMany(scene, 30);
    const urgent = scene.text();
    await scene.redis.rpush(scene.keys.queue(scene.queue).waiting, urgent);
    const { worker, started } = working(scene, { concurrency: 1 });
    await worker.start();
    await until("all ran", () => started.length === 31);
    expect(jidsOf(started)).toEqual([(JSON.parse(urgent) as { jid: string }).jid, ...jids]);
  });

  test("strict: nothing of the second queue while the first has something", async () => {
    const scene = new Scene(server.url);
    await pushMany(scene, 50, "low");
    await pushMany(scene, 50, "high");
    const { worker, started } = working(scene, { queues: ["high", "low"], concurrency: 7 });
    await worker.start();
    await until("all ran", () => started.length === 100);
    expect(started.map(({ queue }) => queue)).toEqual([...Array(50).fill("high"), ...Array(50).fill("low")]);
  });

  test.each([1, 10])("weighted, %i at a time: shares by weight, and nobody starves", async (concurrency) => {
    const scene = new Scene(server.url);
    await Promise.all([pushMany(scene, 400, "a"), pushMany(scene, 400, "b")]);
    const { worker, started } = working(scene, { queues: { a: 3, b: 1 }, concurrency });
    await worker.start();
    await until("all ran", () => started.length === 800);
    const share = started.slice(0, 400).filter(({ queue }) => queue === "a").length / 400;
    expect(share).toBeGreaterThan(0.65); // 0.75, give or take four standard deviations
    expect(share).toBeLessThan(0.85);
  });

  test.each([1, 10])(
    "weighted, %i at a time: the shares of the others hold while the heaviest one is empty",
    async (concurrency) => {
      const scene = new Scene(server.url);
      await Promise.all([pushMany(scene, 400, "a"), pushMany(scene, 400, "b")]);
      const { worker, started } = working(scene, { queues: { heavy: 100, a: 9, b: 1 }, concurrency });
      await worker.start();
      await until("all ran", () => started.length === 800);
      const share = started.slice(0, 300).filter(({ queue }) => queue === "a").length / 300;
      expect(share).toBeGreaterThan(0.82); // 0.9, give or take four standard deviations
      expect(share).toBeLessThan(0.98);
    },
  );

  test("weighted: an empty queue takes no slots from the others", async () => {
    const scene = new Scene(server.url);
    await pushMany(scene, 10, "b");
    const { opened, open } = gate();
    const { worker, started } = working(scene, { queues: { a: 9, b: 1 }, concurrency: 10 }, () => opened);
    await worker.start();
    await until("all run at once", () => started.length === 10);
    open();
  });
});

describe("slots", () => {
  test.each([1, 2, 3, 10])(
    "%i: all are used, and never one more, whatever two fetches bring at once",
    async (slots) => {
      const scene = new Scene(server.url);
      await pushMany(scene, 1_000);
      let [running, most, ended] = [0, 0, 0];
      const { worker, started } = working(scene, { concurrency: slots }, async () => {
        most = Math.max(most, ++running);
        if (ended % 7 !== 0) await sleep(2); // some take longer than others
        running--;
        ended++;
      });
      await worker.start();
      await until("all ran", () => ended === 1_000);
      expect([most, started.length]).toEqual([slots, 1_000]);
    },
  );
});

describe("several sets", () => {
  test("each has slots of its own, also for a queue that both serve", async () => {
    const scene = new Scene(server.url);
    const { opened, open } = gate();
    const sets = [
      { queues: ["a", "shared"], concurrency: 2 },
      { queues: ["b", "shared"], concurrency: 3 },
    ];
    const { worker, started } = working(scene, { sets }, () => opened);
    for (const queue of ["a", "b"]) await pushMany(scene, 10, queue);
    await worker.start();
    await until("all slots are taken", () => started.length === 5);
    await sleep(300); // whoever fetched more would have by now
    expect(started.map(({ queue }) => queue).toSorted()).toEqual(["a", "a", "b", "b", "b"]);
    const shared = await pushMany(scene, 10, "shared");
    open();
    await until("all ran", () => started.length === 30);
    expect(
      jidsOf(started)
        .filter((jid) => shared.includes(jid))
        .toSorted(),
    ).toEqual(shared.toSorted());
    expect(new Set(started.map(({ fencingToken }) => fencingToken)).size).toBe(30);
  });
});

describe("a set whose fetch fails again and again", () => {
  test(
    "takes nothing from the others: what they hold is not given back, and runs once",
    { timeout: 60_000 },
    async () => {
      const scene = new Scene(server.url);
      const count = 40_000;
      for (let n = 0; n < count; n += 1_000) {
        const texts = Array.from({ length: 1_000 }, () => scene.text({ queue: "good" }));
        await scene.redis.lpush(scene.keys.queue("good").waiting, ...texts);
      }
      await scene.redis.set(scene.keys.queue("bad").waiting, "no list");
      const sets = [
        { queues: ["good"], concurrency: 10 },
        { queues: ["bad"], concurrency: 1 },
      ];
      const { worker, started } = working(scene, { sets });
      let failures = 0;
      let completed = 0;
      worker.on("error", () => failures++).on("completed", () => completed++);
      await worker.start();
      await until("all ran", () => started.length >= count, 60_000);
      expect(new Set(jidsOf(started)).size).toBe(started.length);
      await until("all have ended", async () => Object.keys(await scene.running("good")).length === 0);
      await until("and it was told", () => completed === count);
      expect([await scene.waiting("good"), await scene.redis.get(scene.keys.processed)]).toEqual([[], String(count)]);
      expect(failures).toBeGreaterThan(1);
    },
  );
});

describe("jobs of a class that nobody handles here", () => {
  test("are offered to others and not spun on, also where one slot is all there is; what is behind them runs", async () => {
    const scene = new Scene(server.url);
    const foreign = await scene.push({ class: "Foreign" });
    const { worker, started } = working(scene, { concurrency: 1 });
    const refused: string[] = [];
    worker.on("refused", ({ jid }) => refused.push(jid));
    await worker.start();
    await until("it was refused again and again", () => refused.length >= 3);
    const [before, from] = [refused.length, performance.now()];
    await sleep(500);
    expect((refused.length - before) / (performance.now() - from)).toBeLessThan(1 / 40);
    const jid = await scene.push();
    await until("the other one runs", () => jidsOf(started).includes(jid));
    expect(new Set(refused)).toEqual(new Set([foreign]));
  });
});

describe("a queue that is paused by Sidekiq's Web", () => {
  async function fetches({ redis }: Scene): Promise<number> {
    const stats = await redis.info("commandstats");
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  }

  test("gives nothing, is not spun on, and goes on when it is resumed; others go on meanwhile", async () => {
    const scene = new Scene(server.url);
    const { worker, started } = working(scene, { queues: ["held", "free"] });
    await scene.redis.sadd(scene.keys.paused, "held");
    const held = await pushMany(scene, 5, "held");
    await worker.start();
    const free = await pushMany(scene, 5, "free");
    await until("those of the other queue ran", () => started.length === 5);
    const before = await fetches(scene);
    await sleep(2_000); // the time in which it is counted
    expect((await fetches(scene)) - before).toBeLessThan(15);
    expect(jidsOf(started).toSorted()).toEqual(free.toSorted());
    await scene.redis.srem(scene.keys.paused, "held");
    await until("all ran", () => started.length === 10);
    expect(jidsOf(started.slice(5))).toEqual(held);
  });

  test("a name that holds the name of a paused one is not paused", async () => {
    const scene = new Scene(server.url);
    const { worker, started } = working(scene, { queues: ["default", "default2"] });
    await scene.redis.sadd(scene.keys.paused, "default");
    await scene.push({ queue: "default2" });
    await worker.start();
    await until("it ran", () => started.length === 1);
  });
});

describe("waking up", () => {
  test("an idle worker begins at once, and many do not disturb each other", async () => {
    const scene = new Scene(server.url);
    const crew = Array.from({ length: 5 }, () => working(scene, { concurrency: 1 }));
    for (const { worker } of crew) await worker.start();
    await sleep(200); // all of them wait
    for (let n = 0; n < 5; n++) {
      const pushed = performance.now();
      await scene.push();
      await until("it runs", () => crew.flatMap(({ started }) => started).length === n + 1);
      expect(performance.now() - pushed).toBeLessThan(500);
    }
    const all = await pushMany(scene, 100);
    await until("all ran", () => crew.flatMap(({ started }) => started).length === 105);
    expect(new Set(crew.flatMap(({ started }) => jidsOf(started))).size).toBe(105);
    expect(all).toHaveLength(100);
  });

  test("what was given back with a delay comes when it is due, and not before", async () => {
    const scene = new Scene(server.url);
    const { worker, started } = working(scene, {});
    await worker.start();
    const text = scene.text({ args: ["with spaces in it"] });
    const due = Date.now() + 700;
    await scene.redis.zadd(scene.keys.queue(scene.queue).parked, due, `host:1:abc#1:7 ${text}`);
    await until("it runs", () => started.length === 1);
    expect(Date.now() - due).toBeGreaterThanOrEqual(0);
    expect(Date.now() - due).toBeLessThan(1_500);
    expect(started[0]?.payload.text).toBe(text);
    expect(await scene.redis.exists(scene.keys.queue(scene.queue).parked)).toBe(0);
  });
});

describe("a path that breaks", () => {
  /** A worker whose path to Redis is in the hands of the test, at work. */
  async function behindProxy(
    scene: Scene,
    options: Partial<SidekiqWorkerOptions> = {},
    perform?: (job: SidekiqJob) => unknown,
  ): Promise<ReturnType<typeof working> & { proxy: ProxyHandle; host: RecordingHost }> {
    const proxy = await startProxy({ target: server.port });
    onTestFinished(() => proxy.stop());
    const { worker, started } = working(scene, { redis: proxy.url, concurrency: 4, ...options }, perform);
    const host = new RecordingHost();
    await scene.adapter({ worker }).attach(host);
    await worker.start();
    await scene.push();
    await until("it works", () => host.runs[0]?.ended);
    return { proxy, worker, started, host };
  }

  test("jobs whose fetch was carried out and never answered go back, and run once", async () => {
    const scene = new Scene(server.url);
    const { proxy, worker, started, host } = await behindProxy(scene);
    const { redis, keys, queue } = scene;
    const jids = new Set<string>();
    for (let round = 0; round < 3; round++) {
      const holder = engineOf(worker)!.holders[0]!;
      proxy.lose("replies");
      for (const jid of await pushMany(scene, 3)) jids.add(jid);
      const isTaken = async (): Promise<boolean> => (await redis.hlen(keys.queue(queue).running)) > 0;
      await until("they were taken, and nobody was told", isTaken, 3_000).catch(() => {}); // or an older answer was lost
      await proxy.mend();
      await until("all ran", () => [...jids].every((jid) => jidsOf(started).includes(jid)));
      expect(engineOf(worker)!.holders[0]).not.toBe(holder);
      expect(await redis.zscore(keys.graves, holder)).not.toBeNull();
    }
    await until("all have ended", async () => Object.keys(await scene.running()).length === 0);
    expect(await scene.waiting()).toEqual([]);
    expect(started).toHaveLength(jids.size + 1);
    expect(host.changes).toBeGreaterThanOrEqual(3);
  });

  test("a run that goes on when an answer is lost stays its worker's own, and ends under its old name", async () => {
    const scene = new Scene(server.url);
    const { opened, open } = gate();
    let jobs = 0;
    const perform = (): unknown => (++jobs === 2 ? opened : undefined);
    const { proxy, worker, started, host } = await behindProxy(scene, { concurrency: 2 }, perform);
    const long = await scene.push();
    await until("it runs", () => started.length === 2);
    const { proof } = host.runs[1]!.run;
    const former = engineOf(worker)!.holders;
    proxy.lose("replies");
    await scene.push();
    const isTaken = async (): Promise<boolean> => Object.keys(await scene.running()).length === 2;
    await until("another one was taken, and nobody was told", isTaken, 3_000).catch(() => {}); // or an older answer was lost
    await proxy.mend();
    await until("the other one ran under another name", () => started.length === 3);
    await until("and has ended", async () => Object.keys(await scene.running()).length === 1);
    expect(engineOf(worker)!.holders).toHaveLength(2);
    expect(engineOf(worker)!.holders).toEqual(expect.arrayContaining([...former]));
    expect(Object.keys(await scene.running())).toEqual([proof]);
    open();
    await until("it has ended", () => host.runs[1]!.ended);
    expect(jidsOf(started).filter((jid) => jid === long)).toHaveLength(1);
    expect([host.lostRuns, await scene.running()]).toEqual([[], {}]);
  });

  test("a quiet worker, too, gives back what a lost answer would have brought, as soon as it can", async () => {
    const scene = new Scene(server.url);
    const { proxy, worker } = await behindProxy(scene);
    proxy.lose("replies");
    const jids = await pushMany(scene, 3);
    const isTaken = async (): Promise<boolean> => Object.keys(await scene.running()).length > 0;
    await until("some were taken, and nobody was told", isTaken);
    await proxy.cut();
    worker.quiet();
    await proxy.mend();
    await until("they are back", async () => (await scene.waiting()).length === jids.length);
    expect(await scene.running()).toEqual({});
  });

  test("pause() waits for a fetch on its way, and what it brings is a run by then", async () => {
    const scene = new Scene(server.url);
    const { proxy, host, worker } = await behindProxy(scene);
    const { redis, keys, queue } = scene;
    await redis.sadd(keys.paused, queue);
    const jid = await scene.push();
    const isTaken = async (): Promise<boolean> => (await redis.hlen(keys.queue(queue).running)) === 1;
    for (let taken = false; !taken;) {
      proxy.freeze("replies");
      await redis.srem(keys.paused, queue);
      taken = await until("it was taken", isTaken, 3_000).catch(() => false);
      if (taken) break;
      await redis.sadd(keys.paused, queue); // an answer was on its way when the path froze, so no other fetch came
      proxy.thaw();
    }
    let isQuiet = false;
    const pausing = engineOf(worker)!
      .pause()
      .then(() => (isQuiet = true));
    await sleep(100); // long enough for a pause that waits for nothing
    expect(isQuiet).toBe(false);
    proxy.thaw();
    await pausing;
    expect(host.runs.map(({ run }) => run.id)).toContain(jid);
  });

  test("SCRIPT FLUSH: the scripts come again", async () => {
    const scene = new Scene(server.url);
    const { worker, started } = working(scene, {});
    await worker.start();
    for (let n = 1; n <= 3; n++) {
      await scene.redis.script("FLUSH");
      await scene.push();
      await until("it ran", () => started.length === n);
    }
    await until("all have ended", async () => Object.keys(await scene.running()).length === 0);
  });
});

describe("graves", () => {
  test("a holder that was given up gets nothing more, however late it comes; its worker goes on under another name", async () => {
    const scene = new Scene(server.url);
    const { worker, started } = working(scene, { concurrency: 1 });
    const host = new RecordingHost();
    await scene.adapter({ worker }).attach(host);
    await worker.start();
    await scene.push();
    await until("it works", () => host.runs[0]?.ended);
    const former = engineOf(worker)!.holders[0]!;
    const recoverer = scene.adapter();
    expect(await recoverer.heldBy(scene.key, [{ incarnation: {} as never, ids: [former], claims: [] }])).toEqual([]);
    const { changes } = host;
    const jid = await scene.push();
    await sleep(1_000);
    expect([jidsOf(started).includes(jid), (await scene.waiting()).length]).toEqual([false, 1]);
    await until("it runs under another name", () => started.length === 2, 10_000);
    expect(host.runs[1]?.run.proof.startsWith(`${former}:`)).toBe(false);
    expect(host.changes).toBeGreaterThan(changes);
  });

  test("a new name is told before anything is fetched under it", async () => {
    const scene = new Scene(server.url);
    const { worker, started } = working(scene, { concurrency: 1 });
    const host = new RecordingHost();
    const adapter = scene.adapter({ worker });
    await adapter.attach(host);
    await worker.start();
    await adapter.pause();
    const { opened, open } = gate();
    host.store = opened;
    const resuming = adapter.resume({ renew: true });
    await scene.push();
    await sleep(500); // the store does not answer
    expect([started, (await scene.waiting()).length]).toEqual([[], 1]);
    open();
    await resuming;
    await until("it runs", () => started.length === 1);
  });
});
