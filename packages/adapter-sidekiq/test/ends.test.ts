/* The end of a run: accepted once and by the run that holds the job, with all that Sidekiq writes about it in one step;
 * told again until it was answered. On a real Redis, with a path to it that the test can break. */
import { AssuranceError } from "@assured-jobs/core";
import type { Fleet } from "@assured-jobs/core";
import { gate, RecordingHost, until } from "@assured-jobs/core/testing";
import { startProxy } from "@assured-jobs/dev-proxy";
import type { ProxyHandle } from "@assured-jobs/dev-proxy";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Connection, targetOf } from "../src/connection.ts";
import type { SidekiqJob, SidekiqWorker, SidekiqWorkerOptions } from "../src/index.ts";
import { Ends } from "../src/worker/ends.ts";
import type { ServerMiddleware } from "../src/worker/handlers.ts";
import { FetchCalls } from "../src/worker/fetch-calls.ts";
import type { Taken } from "../src/worker/fetch-calls.ts";
import type { End } from "../src/worker/finish-calls.ts";
import { QueueOrdering } from "../src/worker/queue-order.ts";
import { Scene } from "./support/scene.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

interface Stage {
  readonly scene: Scene;
  readonly worker: SidekiqWorker;
  readonly host: RecordingHost;
  readonly adapter: ReturnType<Scene["adapter"]>;
  /** What the worker told: `completed jid`, `failed jid retry`. */
  readonly told: string[];
}

type Perform = (job: SidekiqJob) => unknown;

/** A worker with an assurance that records, whose jobs do `perform`. */
async function open(perform: Perform, options: Partial<SidekiqWorkerOptions> = {}): Promise<Stage> {
  const scene = new Scene(server.url);
  const worker = scene.worker({ handlers: { Job: perform }, poll: false, ...options });
  const told: string[] = [];
  worker.on("completed", ({ jid }) => told.push(`completed ${jid}`));
  worker.on("failed", ({ jid }, _, outcome) => told.push(`failed ${jid} ${outcome}`));
  const host = new RecordingHost();
  const adapter = scene.adapter({ worker });
  await adapter.attach(host);
  await worker.start();
  return { scene, worker, host, adapter, told };
}

function alone(perform: Perform): Pick<Stage, "scene" | "worker"> {
  const scene = new Scene(server.url);
  return { scene, worker: scene.worker({ handlers: { Job: perform }, poll: false }) };
}

async function behindProxy(perform: Perform): Promise<Stage & { proxy: ProxyHandle }> {
  const proxy = await startProxy({ target: server.port });
  onTestFinished(() => proxy.stop());
  return { ...(await open(perform, { redis: proxy.url })), proxy };
}

const processed = async ({ redis, keys }: Scene): Promise<number> => Number((await redis.get(keys.processed)) ?? 0);

const entries = (scene: Scene, key: string): Promise<string[]> => scene.redis.zrange(key, "0", "-1");

/** Gives back what the worker holds, as a recoverer does that takes it for dead. */
async function giveAway({ scene, adapter }: Stage): Promise<void> {
  const elsewhere = scene.adapter();
  const dead = { incarnation: {} as never, ids: adapter.holders(scene.key), claims: [] };
  for (const orphan of await elsewhere.heldBy(scene.key, [dead]))
    expect(await elsewhere.requeue(orphan, { delay: 0 })).toBe("requeued");
}

/** But for the time at which it was put into its queue. */
const still = (text = ""): string => text.replace(/"enqueued_at":[\d.]+/, "");

const fails = (): never => {
  throw new TypeError("on purpose");
};

describe("what an end leaves", () => {
  test("done: nothing but a count", async () => {
    const { scene, told, worker } = await open(() => "dropped");
    const jid = await scene.push();
    await until("it has ended", () => told.length > 0);
    const { redis, keys, prefix } = scene;
    expect(told).toEqual([`completed ${jid}`]);
    const left = (await redis.keys(`${prefix}*`)).map((key) => key.slice(prefix.length));
    const day = new Date().toISOString().slice(0, 10);
    expect(left.filter((key) => key !== worker.identity).toSorted()).toEqual(
      ["assured:run", "processes", "queues", "stat:processed", `stat:processed:${day}`].toSorted(),
    );
    expect(await redis.ttl(`${keys.processed}:${day}`)).toBeGreaterThan(4 * 365 * 24 * 3_600);
  });

  test("a failure: the retry, with nothing else of the payload changed", async () => {
    const { scene, told } = await open(fails);
    const odd =
      '{"retry":true,"queue":"default","class":"Job","args":[1.0,12345678901234567890,{"b":1,"10":2}],"jid":"odd","x":1e20 }';
    await scene.redis.lpush(scene.keys.queue(scene.queue).waiting, odd);
    await until("it has failed", () => told.length > 0);
    expect(told).toEqual(["failed odd retry"]);
    const [text = ""] = await entries(scene, scene.keys.retry);
    expect(text.replace(/,"error_message".*(?= \}$)/, "")).toBe(odd);
    expect(JSON.parse(text)).toMatchObject({ error_class: "TypeError", error_message: "on purpose", retry_count: 0 });
    expect(text).toMatch(/"failed_at":\d+\.\d+/);
    const score = Number(await scene.redis.zscore(scene.keys.retry, text));
    expect(score - Date.now() / 1_000).toBeGreaterThan(13);
    expect(score - Date.now() / 1_000).toBeLessThan(26);
    expect(await scene.running()).toEqual({});
    expect([await processed(scene), await scene.redis.get(scene.keys.failed)]).toEqual([1, "1"]);
  });

  test.each([
    ["retry false", { retry: false }, "drop", 0],
    ["retry 0", { retry: 0 }, "dead", 1],
    ["the last retry", { retry: 2, retry_count: 1 }, "dead", 1],
    ["the last retry of one that must not be kept", { retry: 0, dead: false }, "drop", 0],
  ])("%s: %j", async (_, fields, outcome, dead) => {
    const { scene, told } = await open(fails);
    const jid = await scene.push(fields);
    await until("it has failed", () => told.length > 0);
    expect(told).toEqual([`failed ${jid} ${outcome}`]);
    expect([(await entries(scene, scene.keys.retry)).length, (await entries(scene, scene.keys.dead)).length]).toEqual([
      0,
      dead,
    ]);
    expect(await scene.running()).toEqual({});
  });

  test.each<[string, () => unknown]>([
    ["no message", () => Object.assign(new Error("x"), { message: undefined })],
    ["an object for a message", () => Object.assign(new Error("x"), { message: { code: 5 } })],
    ["a message that throws", () => Object.defineProperty(new Error("x"), "message", { get: fails })],
    [
      "a name and a trace that throw",
      () => Object.defineProperties(new Error("x"), { name: { get: fails }, stack: { get: fails } }),
    ],
    ["nothing", () => undefined],
    ["an object without a prototype", () => Object.create(null) as object],
    ["a symbol", () => Symbol("x")],
  ])("whatever is thrown, its job is tried again: %s", async (_, thrown) => {
    const { scene, told } = await open(() => {
      throw thrown();
    });
    const jid = await scene.push({ backtrace: true });
    await until("it has failed", () => told.length > 0);
    expect(told).toEqual([`failed ${jid} retry`]);
    const [entry = ""] = await entries(scene, scene.keys.retry);
    expect(JSON.parse(entry)).toMatchObject({ error_class: expect.any(String), error_message: expect.any(String) });
    expect(await scene.running()).toEqual({});
  });

  test("a time of failure without a count is of a former life: Ruby counts retry_for from this failure", async () => {
    const { scene, told } = await open(fails);
    const jid = await scene.push({ retry_for: 60, failed_at: Date.now() / 1_000 - 3_600 });
    await until("it has failed", () => told.length > 0);
    expect(told).toEqual([`failed ${jid} retry`]);
  });

  test("retryIn answers with no number: its job is due by the rule, and a rejection ends no process", async () => {
    for (const wrong of [() => Infinity, () => Number.NaN, () => Promise.reject(new Error("late"))]) {
      const scene = new Scene(server.url);
      const worker = scene.worker({
        handlers: { Job: { perform: fails, retryIn: () => wrong() as number } },
        poll: false,
      });
      await worker.start();
      await scene.push();
      await until("it has failed", async () => (await scene.redis.zcard(scene.keys.retry)) === 1);
      const [, score] = await scene.redis.zrange(scene.keys.retry, "0", "-1", "WITHSCORES");
      expect(Number(score) - Date.now() / 1_000).toBeLessThan(26);
    }
  });

  test("what a listener throws changes nothing, and death handlers still hear", async () => {
    const scene = new Scene(server.url);
    const dead: string[] = [];
    const worker = scene.worker({
      handlers: { Job: fails },
      deathHandlers: [({ jid }) => void dead.push(jid)],
      poll: false,
    });
    for (const event of ["completed", "failed", "refused", "warning"] as const) worker.on(event, fails);
    const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warnings.mockRestore());
    await worker.start();
    const jid = await scene.push({ retry: 0 });
    const foreign = await scene.push({ class: "Foreign" });
    await until("death handlers have heard", () => dead.includes(jid));
    await until("and a listener was told of", () =>
      warnings.mock.calls.some(([text]) => String(text).includes("refused")),
    );
    worker.quiet();
    await until("what is foreign is back", async () => (await scene.waiting()).some((text) => text.includes(foreign)));
    expect(await scene.running()).toEqual({});
  });

  test("the dead set keeps as many, and as long, as it is told to", async () => {
    const { scene, told } = await open(fails, { deadSet: { max: 4, timeout: 60 } });
    const { redis, keys } = scene;
    await redis.zadd(keys.dead, Date.now() / 1_000 - 61, "too old");
    for (let n = 0; n < 6; n++) await scene.push({ retry: 0 });
    await until("all have failed", () => told.length === 6);
    expect(await entries(scene, keys.dead)).toHaveLength(3); // as in Sidekiq, one less than max
    expect(await entries(scene, keys.dead)).not.toContain("too old");
  });
});

describe("many at once", () => {
  test("a thousand ends of one turn are all accepted, each once", async () => {
    const { opened, open: release } = gate();
    const { scene, host, told } = await open(() => opened, { concurrency: 1_000 });
    for (let n = 0; n < 1_000; n++) await scene.push();
    await until("all run", () => host.runs.length === 1_000);
    release();
    await until("all have ended", () => told.length === 1_000);
    expect([await processed(scene), await scene.running(), host.lostRuns]).toEqual([1_000, {}, []]);
  });

  test("one that Redis cannot write keeps no other, and comes when it can; each is counted once", async () => {
    const { opened, open: release } = gate();
    const { scene, host, told } = await open(async ({ args }) => {
      await opened;
      if (args[0] === "fails") fails();
    });
    const first = await scene.push();
    const bad = await scene.push({ args: ["fails"] });
    const last = await scene.push();
    await until("all run", () => host.runs.length === 3);
    await scene.redis.set(scene.keys.retry, "no sorted set");
    release();
    for (const good of [first, last]) await until("the good ones have ended", () => told.includes(`completed ${good}`));
    expect(Object.values(await scene.running()).join()).toContain(bad);
    await scene.redis.del(scene.keys.retry);
    await until("the other one has ended", () => told.includes(`failed ${bad} retry`));
    expect(await entries(scene, scene.keys.retry)).toHaveLength(1);
    expect([await processed(scene), Number(await scene.redis.get(scene.keys.failed))]).toEqual([3, 1]);
    expect([told.length, await scene.running(), host.lostRuns]).toEqual([3, {}, []]);
  });
});

describe("ends and a fetch in one script", () => {
  const identity = "host:1:nonce";
  const holder = `${identity}#1`;

  /** What a worker sends by: its ends, and a fetch of five jobs. */
  function wire(scene: Scene): { ends: Ends; fetch: () => Promise<Taken | undefined> } {
    const redis = new Connection(targetOf(server.url, "redis"), "test");
    onTestFinished(() => redis.close());
    const parts = { keys: scene.keys, identity, deadSet: { max: 10_000, timeout: 1_000_000 } };
    const ends = new Ends({ redis, tell: () => {}, ...parts });
    const ordering = new QueueOrdering(["one", "two"]);
    const calls = new FetchCalls({ ...parts, ordering, writeWorkers: () => false });
    return { ends, fetch: async () => calls.taken(await ends.fetch(calls.of(5, holder)), holder) };
  }

  /** Sent once: one that is to be repeated is refused. */
  const once = (ends: Ends, end: End): Promise<boolean | string> => ends.send(end, () => true).catch(() => "unheard");

  test("of all kinds, of two queues: each gets its own verdict, leaves what is its own, and counts once", async () => {
    const scene = new Scene(server.url);
    const { redis, keys } = scene;
    const { ends, fetch } = wire(scene);
    const [one, two] = [keys.queue("one"), keys.queue("two")];
    const kinds = ["done", "retry", "done", "drop", "dead", "back", "junk", "done", "done"] as const;
    const sent = kinds.map((kind, run) => {
      const queue = run % 2 === 0 ? "one" : "two";
      return { queue, kind, proof: `${holder}:${run}`, delay: 60, text: kind === "dead" ? "" : `${kind} ${run}` };
    });
    for (const [run, { queue, proof }] of sent.entries()) {
      if (run < 7) await redis.hset(keys.queue(queue).running, proof, `payload ${run}`);
      await redis.hset(keys.work(identity), String(run), "{}");
    }
    await redis.zadd(two.given, 1, sent[7]!.proof);
    await redis.lpush(one.waiting, "next");
    const verdicts = Promise.all(sent.map((end) => once(ends, end)));
    const taken = await fetch();

    // What was given away (7), and what is not there (8), are no longer its own.
    expect(await verdicts).toEqual([true, true, true, true, true, true, true, false, false]);
    expect(await entries(scene, keys.retry)).toEqual(["retry 1"]);
    expect((await entries(scene, keys.dead)).toSorted()).toEqual(["", "payload 6"]);
    // What went back behind its queue was there for the fetch.
    expect(taken?.jobs.map(({ queue, text }) => [queue, text])).toEqual([
      ["one", "next"],
      ["two", "payload 5"],
    ]);
    expect(Object.values(await redis.hgetall(one.running))).toEqual(["next"]);
    expect(Object.values(await redis.hgetall(two.running))).toEqual(["payload 5"]);
    expect(Object.keys(await redis.hgetall(keys.work(identity)))).toHaveLength(2);
    expect([await processed(scene), await redis.get(keys.failed)]).toEqual([5, "3"]);
  });

  test("a fetch that fails takes no verdict from the ends, and ends that fail take no job from the fetch", async () => {
    const scene = new Scene(server.url);
    const { redis, keys } = scene;
    const { ends, fetch } = wire(scene);
    const end: End = { queue: "one", kind: "retry", proof: `${holder}:1`, delay: 60, text: "again" };
    const put = (): Promise<unknown> => redis.hset(keys.queue("one").running, end.proof, "payload");

    await put();
    await redis.set(keys.queue("two").waiting, "no list");
    const heard = once(ends, end);
    await expect(fetch()).rejects.toThrow("WRONGTYPE");
    expect([await heard, await entries(scene, keys.retry)]).toEqual([true, ["again"]]);

    await put();
    await redis.del(keys.queue("two").waiting, keys.retry);
    await redis.set(keys.retry, "no sorted set");
    await redis.lpush(keys.queue("one").waiting, "next");
    const unheard = once(ends, end);
    expect((await fetch())?.jobs.map(({ text }) => text)).toEqual(["next"]);
    expect(await unheard).toBe("unheard");
  });
});

describe("with the fetch for the slots that they free", () => {
  test.each([
    [1, 100, 120],
    [10, 500, 150],
  ])("a busy worker with %i slots does %i jobs with at most %i scripts", async (concurrency, jobs, most) => {
    const { opened, open: release } = gate();
    const { scene, told } = await open(() => opened, { concurrency });
    for (let n = 0; n < jobs; n++) await scene.push();
    await until("all slots are taken", async () => Object.keys(await scene.running()).length === concurrency);
    await scene.redis.config("RESETSTAT");
    release();
    await until("all have ended", () => told.length === jobs);
    const stats = await scene.redis.info("commandstats");
    const calls = [...stats.matchAll(/^cmdstat_(?:eval|evalsha):calls=(\d+)/gm)].map(([, count]) => Number(count));
    expect(calls.reduce((sum, count) => sum + count, 0)).toBeLessThan(most); // without the fetch: twice as many
  });

  test("an end that cannot be written keeps nobody from fetching", async () => {
    const { scene, worker, host, told } = await open(({ args }) => (args[0] === "fails" ? fails() : undefined), {
      concurrency: 1,
    });
    const holders = worker.identity;
    await scene.redis.set(scene.keys.retry, "no sorted set");
    const bad = await scene.push({ args: ["fails"] });
    const good: string[] = [];
    for (let n = 0; n < 20; n++) good.push(await scene.push());
    await until("the others have ended", () => told.length === 20);
    expect(told).toEqual(good.map((jid) => `completed ${jid}`));
    expect(host.runs.every(({ run }) => run.proof.startsWith(`${holders}#1:`))).toBe(true); // no fetch was given up
    await scene.redis.del(scene.keys.retry);
    await until("it has ended", () => told.includes(`failed ${bad} retry`));
    expect([await processed(scene), await scene.running()]).toEqual([21, {}]);
  });

  test("lost together, both are made up for: nothing runs twice, and each end counts once", async () => {
    const { opened, open: release } = gate();
    let runs = 0;
    const { scene, proxy, host, told } = await behindProxy(() => (runs++, opened));
    const jids: string[] = [];
    for (let n = 0; n < 30; n++) jids.push(await scene.push());
    await until("all slots are taken", () => host.runs.length === 10);
    proxy.lose("replies");
    release();
    await until("ends and a fetch have arrived", async () => (await scene.waiting()).length < 20);
    await proxy.mend();
    await until("all have ended", () => told.length === 30);
    expect(told.toSorted()).toEqual(jids.map((jid) => `completed ${jid}`).toSorted());
    expect([runs, await processed(scene), await scene.running(), host.lostRuns]).toEqual([30, 30, {}, []]);
  });
});

describe("a server middleware that does not wait for its job", () => {
  const through = (middleware: ServerMiddleware, perform: Perform): Promise<Stage> =>
    open(perform, { middleware: [middleware] });

  test("does not end the run before it, and fails with it", async () => {
    const perform = async (): Promise<void> => {
      await sleep(100);
      fails();
    };
    const { scene, told } = await through(async (_, next) => void next(), perform);
    const jid = await scene.push();
    await until("it has ended", () => told.length > 0);
    expect(told).toEqual([`failed ${jid} retry`]);
  });

  test("and fails itself: the job is waited for", async () => {
    const { opened, open: release } = gate();
    const { scene, told } = await through(
      async (_, next) => {
        void next();
        fails();
      },
      () => opened,
    );
    await scene.push();
    await until("it runs", async () => Object.keys(await scene.running()).length === 1);
    await sleep(100);
    expect(told).toEqual([]);
    release();
    await until("it has ended", () => told.length > 0);
    expect(told[0]).toMatch(/^failed .* retry$/);
  });

  test("may keep a failure to itself, as a rescue around yield", async () => {
    const { scene, told } = await through((_, next) => next().catch(() => {}), fails);
    const jid = await scene.push();
    await until("it has ended", () => told.length > 0);
    expect(told).toEqual([`completed ${jid}`]);
  });
});

describe("a path that a gateway has forgotten", () => {
  test("is given up for a new one: the worker goes on", { timeout: 60_000 }, async () => {
    const { scene, proxy, told } = await behindProxy(() => {});
    await scene.push();
    await until("one has ended", () => told.length === 1);
    proxy.forget();
    await scene.push();
    await until("the next one, too", () => told.length === 2, 30_000);
  });
});

describe("lost answers", () => {
  for (const [what, perform, fact] of [
    ["an end", () => {}, "completed"],
    ["a retry", fails, "failed"],
  ] as const)
    test(`${what} whose answer was lost is told again, and counts once`, async () => {
      const { opened, open: release } = gate();
      const stage = await behindProxy(async () => (await opened, perform()));
      const { scene, proxy, host, told } = stage;
      const jid = await scene.push();
      await until("it runs", () => host.runs[0]);
      proxy.lose("replies");
      release();
      await until("the end has arrived", async () => (await processed(scene)) === 1);
      expect(told).toEqual([]);
      await proxy.mend();
      await until("and is known", () => told.length === 1);
      expect(told[0]).toContain(`${fact} ${jid}`);
      expect([await processed(scene), host.lostRuns, await scene.running()]).toEqual([1, [], {}]);
      expect(await entries(scene, scene.keys.retry)).toHaveLength(fact === "failed" ? 1 : 0);
    });

  test("an end that never arrived is told again", async () => {
    const { opened, open: release } = gate();
    const { scene, proxy, host, told } = await behindProxy(() => opened);
    await scene.push();
    await until("it runs", () => host.runs[0]);
    await proxy.cut();
    release();
    await sleep(700); // some tries in vain
    expect([told, await processed(scene), host.runs[0]?.ended]).toEqual([[], 0, false]);
    await proxy.mend();
    await until("it has arrived", () => host.runs[0]?.ended);
    expect([told.length, await processed(scene)]).toEqual([1, 1]);
  });
});

describe("a run that was given away", () => {
  test("cannot end: refused, told to core, and the next run ends", async () => {
    const { opened, open: release } = gate();
    const stage = await open(() => opened);
    const { scene, host, told } = stage;
    const jid = await scene.push();
    const { run } = await until("it runs", () => host.runs[0]);
    await giveAway(stage);
    release();
    await until("it was refused", () => host.lostRuns[0]);
    expect(host.lostRuns[0]?.run).toEqual(run);
    expect([told, await processed(scene)]).toEqual([[], 0]);
    await until("it ran again, under another name", () => told.length === 1, 15_000);
    expect([told, await processed(scene)]).toEqual([[`completed ${jid}`], 1]);
    expect(host.runs[1]!.run.run).toBeGreaterThan(run.run);
  });

  test("cannot write a retry or a death", async () => {
    for (const retry of [true, 0]) {
      const { opened, open: release } = gate();
      const stage = await open(async () => (await opened, fails()));
      const { scene, host, told, adapter } = stage;
      await scene.push({ retry });
      await until("it runs", () => host.runs[0]);
      await adapter.pause();
      await giveAway(stage);
      release();
      await until("it was refused", () => host.lostRuns[0]);
      expect([told, await entries(scene, scene.keys.retry), await entries(scene, scene.keys.dead)]).toEqual([
        [],
        [],
        [],
      ]);
      expect(await scene.waiting()).toHaveLength(1);
    }
  });

  test("cannot end while the job runs again elsewhere, though the payload is the same", async () => {
    const { opened, open: release } = gate();
    const stage = await open(() => opened);
    const { scene, host, told, adapter } = stage;
    await scene.push();
    await until("it runs", () => host.runs[0]);
    await adapter.pause();
    await giveAway(stage);
    const { opened: later, open: releaseOther } = gate();
    const other = scene.worker({ handlers: { Job: () => later } });
    await other.start();
    const holds = async (): Promise<boolean> =>
      Object.keys(await scene.running())[0]?.startsWith(other.identity) ?? false;
    await until("the other one runs it", holds);
    release();
    await until("it was refused", () => host.lostRuns[0]);
    expect([await holds(), told]).toEqual([true, []]);
    releaseOther();
    await until("that one has ended", async () => (await processed(scene)) === 1);
  });

  test("an end that is told again after that is refused, too", async () => {
    const { opened, open: release } = gate();
    const stage = await behindProxy(() => opened);
    const { scene, host, told, proxy } = stage;
    await scene.push();
    await until("it runs", () => host.runs[0]);
    await proxy.cut();
    release();
    await giveAway(stage);
    await proxy.mend();
    await until("it was refused", () => host.lostRuns[0]);
    expect(told).toEqual([]);
    await until("it ran again", () => told.length === 1, 15_000);
    expect(await processed(scene)).toBe(1);
  });

  test("a handler that fails because its run was given up has not failed: nothing is written, and it is off Sidekiq's books", async () => {
    const stage = await open(({ signal }) => sleep(60_000, undefined, { signal }));
    const { scene, host, told, adapter, worker } = stage;
    await scene.push();
    const held = await until("it runs", () => host.runs[0]);
    const work = scene.keys.work(worker.identity);
    expect(await scene.redis.hkeys(work)).toEqual([String(held.run.run)]);
    await adapter.pause();
    held.abort.abort(new AssuranceError("ERR_FENCED", "on purpose"));
    await until("it has returned", () => held.ended);
    expect(await scene.redis.hkeys(work)).toEqual([]);
    expect(Object.keys(await scene.running())).toEqual([held.run.proof]);
    expect([told, await scene.waiting(), await entries(scene, scene.keys.retry)]).toEqual([[], [], []]);
  });

  test("and on a handover it is the next one again, with a fresh enqueued_at and nothing else changed", async () => {
    const stage = await open(({ signal }) => sleep(60_000, undefined, { signal }), { concurrency: 1 });
    const { scene, host, told, adapter } = stage;
    const text = scene.text();
    await scene.redis.lpush(scene.keys.queue(scene.queue).waiting, text);
    const held = await until("it runs", () => host.runs[0]);
    await scene.push();
    await adapter.pause();
    held.abort.abort(new AssuranceError("ERR_HANDOVER", "on purpose"));
    await until("it has returned", () => held.ended);
    const next = (await scene.waiting()).at(-1);
    expect([await scene.running(), told, still(next)]).toEqual([{}, [], still(text)]);
    expect(next).not.toBe(text);
  });
});

describe("stop()", () => {
  test("waits for runs; what is left of them goes back, the oldest first to run, and nothing of the process is left", async () => {
    const scene = new Scene(server.url);
    const { opened, open: release } = gate();
    const worker = scene.worker({ handlers: { Job: () => opened }, concurrency: 3 });
    const errors: unknown[] = [];
    worker.on("error", (error) => errors.push(error));
    await worker.start();
    const texts = Array.from({ length: 4 }, () => scene.text());
    for (const text of texts) await scene.redis.lpush(scene.keys.queue(scene.queue).waiting, text);
    await until("three run", () => worker.busy === 3);
    await worker.stop({ timeout: 100 });
    const back = async (): Promise<string[]> => (await scene.waiting()).toReversed().map(still);
    expect([await scene.running(), await back()]).toEqual([{}, texts.map(still)]);
    const { redis, keys } = scene;
    expect(await redis.smembers(keys.processes)).toEqual([]);
    expect(await redis.exists(keys.work(worker.identity), keys.process(worker.identity))).toBe(0);
    release();
    await until("the handlers have returned", () => worker.busy === 0);
    expect(await back()).toEqual(texts.map(still));
  });

  test.each(["by itself", "under an assurance"])(
    "the handlers of a worker %s hear by their signals that their jobs went back, and fail nothing by it",
    async (how) => {
      const perform = async ({ signal }: SidekiqJob): Promise<void> => {
        try {
          await sleep(60_000, undefined, { signal });
        } finally {
          await sleep(200); // until the worker is gone
        }
      };
      const errors: unknown[] = [];
      const stage = how === "by itself" ? alone(perform) : await open(perform);
      const { scene, worker } = stage;
      worker.on("error", (error) => errors.push(error));
      if (how === "by itself") await worker.start();
      await scene.push();
      await until("it runs", () => worker.busy === 1);
      await worker.stop({ timeout: 50 });
      await until("the handler has returned", () => worker.busy === 0);
      expect([(await scene.waiting()).length, await scene.running(), await processed(scene)]).toEqual([1, {}, 0]);
      expect([await entries(scene, scene.keys.retry), errors]).toEqual([[], []]);
    },
  );

  test(
    "while Redis is away: what it cannot give back is nobody's, so that the others find it",
    { timeout: 60_000 },
    async () => {
      const { opened, open: release } = gate();
      const { scene, worker, proxy, host, adapter } = await behindProxy(() => opened);
      await scene.push();
      await until("it runs", () => worker.busy === 1);
      expect(adapter.holders(scene.key)).toHaveLength(1);
      await proxy.cut();
      const before = host.changes;
      await worker.stop({ timeout: 0 });
      expect([adapter.holders(scene.key), host.changes - before]).toEqual([[], 1]);
      release();
      expect(Object.keys(await scene.running())).toHaveLength(1);
      const others = scene.adapter();
      const fleet = (observed: number): Fleet => ({ observed, living: new Set(), mute: new Set() });
      await scene.redis.del(scene.keys.process(worker.identity)); // lapses after a minute
      for (const observed of [0, 60_000]) await others.upkeep?.(scene.key, fleet(observed));
      expect([await scene.running(), (await scene.waiting()).length]).toEqual([{}, 1]);
    },
  );

  test("while it starts: nothing of the process is left, and nothing goes on", async () => {
    const scene = new Scene(server.url);
    const worker = scene.worker({ pollInterval: 10 });
    const errors: unknown[] = [];
    worker.on("error", (error) => errors.push(error));
    const starting = worker.start();
    await worker.stop();
    await starting;
    await sleep(100); // some looks of its poller
    const { redis, keys } = scene;
    expect([errors, await redis.smembers(keys.processes)]).toEqual([[], []]);
    expect(await redis.exists(keys.process(worker.identity))).toBe(0);
    const isGone = async (): Promise<boolean> => !String(await redis.client("LIST")).includes("assured-jobs:worker");
    await until("its connections are gone", isGone);
  });

  test("for as long as it takes, and called twice: both wait for the job", async () => {
    const { opened, open: release } = gate();
    const { scene, worker, told } = await open(() => opened);
    await scene.push();
    await until("it runs", () => worker.busy === 1);
    let ended = 0;
    const stops = [worker.stop({ timeout: Infinity }), worker.stop()].map((stop) => stop.then(() => ended++));
    await sleep(100);
    expect([ended, worker.busy]).toEqual([0, 1]);
    release();
    await Promise.all(stops);
    expect(told).toHaveLength(1);
    expect(await scene.waiting()).toEqual([]);
  });

  test("of a worker that does nothing tells no errors", async () => {
    const scene = new Scene(server.url);
    const errors: unknown[] = [];
    for (let n = 0; n < 3; n++) {
      const worker = scene.worker().on("error", (error) => errors.push(error));
      await worker.start();
      await sleep(200 * n); // in different moments of its wait
      await worker.stop();
    }
    await sleep(100); // what was on its way comes later
    expect(errors).toEqual([]);
  });
});
