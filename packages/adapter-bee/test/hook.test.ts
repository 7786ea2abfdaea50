/* What the hook does to a user's queue, and what it leaves alone. */
import { gate, RecordingHost, until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BeeAdapter } from "../src/index.ts";
import { nativeOf, Scene } from "./support/bee.ts";
import type { Bee, BeeOptions } from "./support/bee.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

interface Assured {
  readonly worker: Bee;
  readonly host: RecordingHost;
  readonly adapter: BeeAdapter;
}

async function assured(scene: Scene, settings: BeeOptions = {}): Promise<Assured> {
  const worker = scene.open(settings);
  const host = new RecordingHost();
  const adapter = scene.adapter({ queues: [worker] });
  await adapter.attach(host);
  return { worker, host, adapter };
}

const orphansOf = (scene: Scene, adapter: BeeAdapter, holders: readonly string[]) =>
  adapter.heldBy(scene.key, [{ incarnation: { name: "dead", id: "dead" } as never, ids: holders, claims: [] }]);

describe("runs", () => {
  test("a run is reported from its fetch until the queue has accepted its end", async () => {
    const scene = new Scene(server.url);
    const { worker, host } = await assured(scene);
    const { opened, open } = gate();
    worker.process(() => opened);
    const id = await scene.add();
    const { run } = await until("it runs", () => host.runs[0]);
    expect(run).toMatchObject({ queue: scene.key, id });
    expect(await scene.owners()).toEqual({ [id]: run.proof });
    open();
    await until("it has ended", () => host.runs[0]?.ended);
    expect(await scene.owners()).toEqual({});
    expect(await scene.redis.sismember(scene.keys.succeeded, id)).toBe(1);
  });

  test("as many run at once as process() was told, whatever that is", async () => {
    const scene = new Scene(server.url);
    const { worker } = await assured(scene);
    let [now, most, done] = [0, 0, 0];
    worker.process(7, async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      now--;
      done++;
    });
    await scene.queue.saveAll(Array.from({ length: 100 }, () => scene.queue.createJob({})));
    await until("all are done", () => done === 100);
    expect(most).toBe(7);
  });

  test("at no moment is a job active and nobody's", async () => {
    const scene = new Scene(server.url);
    const { worker } = await assured(scene);
    let done = 0;
    worker.process(20, async () => void done++);
    const jobs = Array.from({ length: 2_000 }, () => scene.queue.createJob({}));
    await scene.queue.saveAll(jobs);
    const look = `return {redis.call('LRANGE', KEYS[1], 0, -1), redis.call('HKEYS', KEYS[2])}`;
    let looks = 0;
    while (done < jobs.length) {
      const [active, owned] = (await scene.redis.eval(look, 2, scene.keys.active, scene.keys.owner)) as string[][];
      expect(active?.toSorted()).toEqual(owned?.toSorted());
      looks++;
    }
    expect(looks).toBeGreaterThan(10);
  });

  test("jobs run in the order in which they were added", async () => {
    const scene = new Scene(server.url);
    const ids: string[] = [];
    for (let n = 0; n < 20; n++) ids.push(await scene.add({}, `job-${n}`));
    const { worker } = await assured(scene);
    const ran: string[] = [];
    worker.process(async ({ id }) => void ran.push(id));
    await until("all ran", () => ran.length === ids.length);
    expect(ran).toEqual(ids);
  });

  test("idle workers that come too late for every job ask ever less, and take over when they are needed", async () => {
    const scene = new Scene(server.url);
    const idle = await Promise.all(Array.from({ length: 10 }, () => assured(scene)));
    for (const { worker } of idle) worker.process(async () => 1);
    const asks = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await scene.redis.info("commandstats"))?.[1]);
    const before = await asks();
    const ran = (): number => idle.reduce((sum, { host }) => sum + host.runs.length, 0);
    for (let n = 1; n <= 400; n++) {
      await scene.add();
      await until("it runs", () => ran() === n);
    }
    expect((await asks()) - before).toBeLessThan(400 * idle.length);
    await scene.queue.saveAll(Array.from({ length: 200 }, () => scene.queue.createJob({})));
    await until("all ran", () => ran() === 600);
  });

  test("several queues of one process are told apart", async () => {
    const [one, two] = [new Scene(server.url), new Scene(server.url)];
    const workers = [one.open(), two.open()];
    const host = new RecordingHost();
    const adapter = one.adapter({ queues: workers });
    expect(adapter.queues).toEqual([one.key, two.key]);
    await adapter.attach(host);
    for (const worker of workers) worker.process(async () => 1);
    await Promise.all([one.add(), two.add()]);
    await until("both ran", () => host.runs.length === 2);
    expect(new Set(host.runs.map(({ run }) => run.queue))).toEqual(new Set([one.key, two.key]));
    expect(adapter.holders(one.key)).not.toEqual(adapter.holders(two.key));
  });

  test("a record that Bee cannot read is set aside, told, and the next job runs", async () => {
    const scene = new Scene(server.url);
    await scene.redis.hset(scene.keys.jobs, "broken", "{no json");
    await scene.redis.lpush(scene.keys.waiting, "broken");
    const next = await scene.add();
    const { worker, host } = await assured(scene);
    worker.process(async () => 1);
    await until("the next one ran", () => host.runs[0]?.ended);
    expect(host.runs[0]?.run.id).toBe(next);
    expect(host.warnings.join()).toContain("Job broken of");
    expect(await scene.redis.smembers(scene.keys.failed)).toEqual(["broken"]);
    expect(await scene.redis.hget(scene.keys.jobs, "broken")).toBe("{no json");
    expect(await scene.active()).toEqual([]);
  });

  test("an id without a job is dropped, and the next job runs", async () => {
    const scene = new Scene(server.url);
    await scene.redis.lpush(scene.keys.waiting, "phantom");
    await scene.add();
    const { worker, host } = await assured(scene);
    worker.process(async () => 1);
    await until("the next one ran", () => host.runs[0]?.ended);
    expect(await scene.active()).toEqual([]);
  });
});

describe("jobs of living runs are nobody else's", () => {
  test("Bee's stall check moves a job that runs, and it does not run twice", async () => {
    const scene = new Scene(server.url, { stallInterval: 100 });
    const { worker, host } = await assured(scene, { stallInterval: 600_000 });
    const other = await assured(scene);
    const { opened, open } = gate();
    worker.process(() => opened);
    const id = await scene.add();
    await until("it runs", () => host.runs[0]);
    other.worker.process(async () => 1);
    await until("Bee moved it", async () => {
      await scene.redis.del(scene.keys.stallBlock);
      return (await scene.queue.checkStalledJobs()) === 1;
    });
    const next = await scene.add();
    await until("the next one ran", () => other.host.runs[0]?.ended);
    expect(other.host.runs.map(({ run }) => run.id)).toEqual([next]);
    open();
    await until("it has ended", () => host.runs[0]?.ended);
    expect(host.lostRuns).toEqual([]);
    expect(await scene.redis.sismember(scene.keys.succeeded, id)).toBe(1);
    await until("nothing is left", async () => (await scene.redis.zcard(scene.keys.parked)) === 0);
    expect([await scene.waiting(), await scene.active()]).toEqual([[], []]);
  });

  test("a job that is removed in mid-run and made anew under the same id is not lost", async () => {
    const scene = new Scene(server.url);
    const { worker, host } = await assured(scene);
    const { opened, open } = gate();
    const ran: unknown[] = [];
    worker.process(2, async ({ data }) => {
      if (data.n === 1) await opened;
      ran.push(data.n);
    });
    await scene.add({ n: 1 }, "same");
    await until("it runs", () => host.runs[0]);
    await scene.queue.removeJob("same");
    await scene.add({ n: 2 }, "same");
    await until("it was seen, and waits", async () => (await scene.redis.zcard(scene.keys.parked)) === 1);
    open();
    await until("both ran", () => ran.length === 2);
    expect(ran).toEqual([1, 2]);
    await until("its end was accepted", () => host.runs[1]?.ended);
    expect(JSON.parse((await scene.redis.hget(scene.keys.jobs, "same")) ?? "")).toMatchObject({ data: { n: 2 } });
  });

  test("a job that is twice in the waiting list runs once", async () => {
    const scene = new Scene(server.url);
    const id = await scene.add();
    await scene.redis.lpush(scene.keys.waiting, id);
    const { worker, host } = await assured(scene);
    const { opened, open } = gate();
    worker.process(2, () => opened);
    await until("the second is seen", async () => (await scene.redis.zcard(scene.keys.parked)) === 1);
    open();
    await until("it has ended", () => host.runs[0]?.ended);
    expect(host.runs.length).toBe(1);
    expect([await scene.waiting(), await scene.active()]).toEqual([[], []]);
  });
});

describe("pausing and leaving", () => {
  test("after pause() nothing is fetched; after resume() the same slots go on, as many as before", async () => {
    const scene = new Scene(server.url);
    const { worker, host, adapter } = await assured(scene);
    let [now, most] = [0, 0];
    worker.process(5, async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 20));
      now--;
    });
    await scene.add();
    await until("one ran", () => host.runs[0]?.ended);
    await adapter.pause();
    const ids = await Promise.all(Array.from({ length: 20 }, () => scene.add()));
    expect((await scene.waiting()).toSorted()).toEqual(ids.toSorted());
    await adapter.resume({ renew: false });
    await until("all ran", () => host.runs.length === 21);
    expect(most).toBe(5);
  });

  test("what a fetch brings while the pause begins goes back", async () => {
    const scene = new Scene(server.url);
    const { worker, host, adapter } = await assured(scene);
    worker.process(10, async () => 1);
    await until("it waits", () => nativeOf(worker).handler);
    for (let round = 0; round < 20; round++) {
      const adding = scene.add();
      await adapter.pause();
      const id = await adding;
      const isBack = (await scene.waiting()).includes(id);
      expect(isBack || host.runs.some(({ run }) => run.id === id)).toBe(true);
      await adapter.resume({ renew: round % 2 === 0 });
      await until("it ran", () => host.runs.find(({ run, ended }) => run.id === id && ended));
    }
    expect(await scene.owners()).toEqual({});
    expect(host.runs.length).toBe(20);
  });

  test("a new life has new holders, which are told before it fetches", async () => {
    const scene = new Scene(server.url);
    const { worker, host, adapter } = await assured(scene);
    worker.process(async () => 1);
    const [before] = adapter.holders(scene.key);
    await adapter.pause();
    const { opened, open } = gate();
    host.store = opened;
    const resumed = adapter.resume({ renew: true });
    const id = await scene.add();
    expect(host.changes).toBe(1);
    expect(await scene.waiting()).toEqual([id]);
    open();
    await resumed;
    const { run } = await until("it runs", () => host.runs[0]);
    expect(adapter.holders(scene.key)).not.toEqual([before]);
    expect(run.proof.startsWith(`${adapter.holders(scene.key)[0]}:`)).toBe(true);
  });

  test("a queue that closes under load strands nothing", async () => {
    const scene = new Scene(server.url);
    for (let round = 0; round < 40; round++) {
      const { worker, host, adapter } = await assured(scene);
      worker.process(10, async () => 1);
      await scene.queue.saveAll(Array.from({ length: 60 }, () => scene.queue.createJob({})));
      await until("it works", () => host.runs.length > 5);
      await worker.close();
      expect(await scene.active()).toEqual([]);
      expect(await scene.owners()).toEqual({});
      expect(adapter.queues).toEqual([]);
    }
  });

  test("a queue that is given back is Bee's own again", async () => {
    const scene = new Scene(server.url);
    const { worker, host, adapter } = await assured(scene);
    const ran: string[] = [];
    worker.process(3, async ({ id }) => void ran.push(id));
    await scene.add();
    await until("one ran", () => host.runs[0]?.ended);
    await adapter.detach();
    const own = Object.keys(worker).filter(
      (name) => name.startsWith("_") && typeof Reflect.get(worker, name) === "function",
    );
    expect(own.filter((name) => !name.startsWith("_emitError"))).toEqual([]);
    for (let n = 0; n < 10; n++) await scene.add();
    await until("Bee runs the rest", () => ran.length === 11);
    expect(host.runs.length).toBe(1);
    expect(await scene.owners()).toEqual({});
  });

  test("a queue that left while it was paused fetches nothing any more", async () => {
    const scene = new Scene(server.url);
    const { worker, adapter } = await assured(scene);
    worker.process(3, async () => 1);
    await adapter.pause();
    await adapter.detach();
    const id = await scene.add();
    const witness = scene.open();
    const ran: string[] = [];
    witness.process(async (job) => void ran.push(job.id));
    await until("somebody else runs it", () => ran.length === 1);
    expect(ran).toEqual([id]);
  });

  test("a run that is given up for a handover goes back, uncharged and in front", async () => {
    const scene = new Scene(server.url);
    const { AssuranceError } = await import("@assured-jobs/core");
    const { worker, host, adapter } = await assured(scene);
    const failed: unknown[] = [];
    worker.on("failed", (job) => failed.push(job.id));
    const { opened, open } = gate();
    worker.process(async () => {
      await opened;
      throw new Error("aborted");
    });
    const id = await scene.add();
    await scene.add();
    const { abort } = await until("it runs", () => host.runs[0]);
    await adapter.pause();
    abort.abort(new AssuranceError("ERR_HANDOVER", "leaving"));
    open();
    await until("it has ended", () => host.runs[0]?.ended);
    expect((await scene.waiting()).at(-1)).toBe(id);
    expect(failed).toEqual([]);
    expect(JSON.parse((await scene.redis.hget(scene.keys.jobs, id)) ?? "")).toMatchObject({
      status: "created",
      options: { stacktraces: [] },
    });
  });

  test("a process that gets its own recovered job again runs it after its former self", async () => {
    const scene = new Scene(server.url);
    const { worker, host, adapter } = await assured(scene);
    const { opened, open } = gate();
    let [now, most] = [0, 0];
    worker.process(2, async () => {
      most = Math.max(most, ++now);
      await opened;
      now--;
    });
    await scene.add();
    await until("it runs", () => host.runs[0]);
    const [orphan] = await orphansOf(scene, adapter, adapter.holders(scene.key));
    expect(await adapter.requeue(orphan!, { delay: 0 })).toBe("requeued");
    await until("it is fetched again", async () => Object.keys(await scene.owners()).length === 1);
    open();
    await until("both have ended", () => host.runs.length === 2 && host.runs[1]?.ended);
    expect(most).toBe(1);
    expect(host.lostRuns.map(({ run }) => run)).toEqual([host.runs[0]?.run]);
  });
});

describe("queues that worked before they were assured", () => {
  test("what Bee fetched by itself is claimed before its handler starts", async () => {
    const scene = new Scene(server.url);
    const worker = scene.open();
    worker.process(3, async () => 1);
    await until("it waits in Bee's own way", async () =>
      /cmd=brpoplpush/.test(String(await scene.redis.client("LIST"))),
    );
    const host = new RecordingHost();
    await scene.adapter({ queues: [worker] }).attach(host);
    for (let n = 0; n < 5; n++) await scene.add();
    await until("all ran", () => host.runs.filter(({ ended }) => ended).length === 5);
    expect(await scene.redis.scard(scene.keys.succeeded)).toBe(5);
    expect(await scene.owners()).toEqual({});
  });

  test("runs that went on already are left to Bee, and end as Bee's", async () => {
    const scene = new Scene(server.url);
    const worker = scene.open();
    const { opened, open } = gate();
    worker.process(() => opened);
    const id = await scene.add();
    await until("it runs", async () => (await scene.active()).length === 1);
    const host = new RecordingHost();
    await scene.adapter({ queues: [worker] }).attach(host);
    open();
    await until("it has succeeded", async () => (await scene.redis.sismember(scene.keys.succeeded, id)) === 1);
    expect(await scene.active()).toEqual([]);
  });
});
