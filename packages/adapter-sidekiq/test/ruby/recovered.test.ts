/* Jobs of Ruby workers that die, recovered from TypeScript: with the gem sidekiq-assured-jobs, and without any. */
import { createAssurance } from "@assured-jobs/core";
import type { Assurance, AssuranceEvents } from "@assured-jobs/core";
import { until } from "@assured-jobs/core/testing";
import type { RubyWorker } from "@assured-jobs/dev-ruby";
import { expect, onTestFinished, test } from "vitest";
import { sidekiqAdapter } from "../../src/index.ts";
import type { RubyOptions } from "../../src/index.ts";
import { packed } from "../../src/ruby/source.ts";
import { eachRuby, jobText } from "./support.ts";
import type { Scene } from "./support.ts";

/** The gem's own settings, in seconds: the wait for its time to live is not what is tested. */
const IMPATIENT = {
  ASSURED_JOBS_HEARTBEAT_INTERVAL: "1",
  ASSURED_JOBS_HEARTBEAT_TTL: "2",
  ASSURED_JOBS_AUTO_RECOVERY: "false",
};
const GEM = "sidekiq_assured_jobs";
/** 20 s of grace and two looks of 10 s. */
const PATIENCE = 60_000;

interface Watch {
  readonly assurance: Assurance;
  readonly recovered: AssuranceEvents["orphan.recovered"][];
  readonly deaths: AssuranceEvents["instance.dead"][];
}

async function watch({ url }: Scene, ruby: RubyOptions): Promise<Watch> {
  const assurance = createAssurance({
    name: "watcher",
    adapters: [sidekiqAdapter({ redis: url, queues: ["default"], ruby })],
  });
  onTestFinished(async () => void (await assurance.stop()));
  const seen: Watch = { assurance, recovered: [], deaths: [] };
  assurance.on("orphan.recovered", (event) => seen.recovered.push(event));
  assurance.on("instance.dead", (event) => seen.deaths.push(event));
  await assurance.start();
  return seen;
}

const isListed = ({ assurance }: Watch, name: string): Promise<unknown> =>
  until(
    "it is an instance like any other",
    async () => {
      const { items } = await assurance.snapshot.instances({ state: "alive" });
      return items.find((one) => one.name === name);
    },
    PATIENCE,
  );

/* A minute after its last beat Redis would do it. */
async function lapse({ redis }: Scene, { identity }: RubyWorker): Promise<void> {
  for (const key of [identity, `${identity}:work`, `${identity}:workers`]) await redis.pexpire(key, 1);
}

await eachRuby(
  (scene) => {
    test("kill -9 a Ruby worker that runs the gem: its job runs again, and its death is on record", async () => {
      const { redis, ruby } = scene();
      const first = await scene().hire({ requires: ["assured-jobs"], env: IMPATIENT });
      const jid = await ruby.call("perform_async", "TrackedSleep", 300, "gem");
      await until("it runs", () => redis.exists(`${GEM}:job:${jid}`));
      const [beat] = await redis.keys(`${GEM}:instance:*`);
      const seen = await watch(scene(), { gem: true });
      await isListed(seen, `ruby:${beat!.slice(`${GEM}:instance:`.length)}`);
      await first.kill();
      await lapse(scene(), first);
      await until("it is given back", () => seen.recovered.length === 1, PATIENCE);
      expect(seen.recovered[0]).toMatchObject({ orphan: { id: jid, name: "TrackedSleep" }, deaths: 1 });
      expect(seen.deaths[0]!.death).toMatchObject({ cause: "reported", leaving: false });
      expect(await redis.keys(`${GEM}:job*`)).toEqual([]);
      const second = await scene().hire({ requires: ["assured-jobs"], env: IMPATIENT });
      await until("it runs again", () => redis.exists(`${GEM}:job:${jid}`));
      expect(second.identity).not.toBe(first.identity);
      const { items } = await seen.assurance.snapshot.history("recoveries");
      expect(items[0]).toMatchObject({ type: "orphan.recovered", job: jid });
    }, 120_000);
  },
  { sets: ["sidekiq6", "sidekiq7"], requires: ["assured-jobs"] },
);

await eachRuby(
  (scene) => {
    test("a pass of the gem at the same time does no harm: each of 500 orphans is pushed once", async () => {
      const { redis, ruby } = scene();
      const jids = Array.from({ length: 500 }, (_, at) => at.toString(16).padStart(24, "0"));
      const setting = redis.multi().sadd(`${GEM}:jobs:dead`, ...jids);
      for (const jid of jids) setting.set(`${GEM}:job:${jid}`, jobText({ jid, class: "TrackedEcho", args: [jid] }));
      await setting.exec();
      const seen = await watch(scene(), { gem: true });
      await until("we begin", () => seen.recovered.length > 0, PATIENCE);
      await ruby.call("assured_jobs_pass");
      await until("all are back", async () => (await redis.llen("queue:default")) >= jids.length, PATIENCE);
      const back = (await scene().waiting()).map((text) => (JSON.parse(text) as { jid: string }).jid);
      expect(back.toSorted()).toEqual(jids);
    }, 120_000);

    test("a job of an instance that beats no more is left alone while a live process lists it", async () => {
      const { redis, ruby } = scene();
      await scene().hire({ requires: ["assured-jobs"], env: IMPATIENT });
      const running = await ruby.call("perform_async", "TrackedSleep", 300, "leaving");
      await until("it is listed", async () => (await ruby.call("work_set")).length === 1);
      // As the gem does when its process begins to leave: its beat is gone, its job goes on.
      const orphan = "f".repeat(24);
      const text = await redis.get(`${GEM}:job:${running}`);
      await redis.sadd(`${GEM}:jobs:leaver`, String(running), orphan);
      await redis.set(`${GEM}:job:${orphan}`, jobText({ jid: orphan, class: "TrackedEcho" }));
      const seen = await watch(scene(), { gem: true });
      await until("the other one is given back", () => seen.recovered.length > 0, PATIENCE);
      expect(seen.recovered.map(({ orphan: { id } }) => id)).toEqual([orphan]);
      expect(await redis.get(`${GEM}:job:${running}`)).toBe(text);
    }, 120_000);

    test("an orphan that the gem itself has pushed meanwhile is not pushed again", async () => {
      const { redis, ruby, url } = scene();
      const jid = "e".repeat(24);
      await redis.multi().sadd(`${GEM}:jobs:dead`, jid).set(`${GEM}:job:${jid}`, jobText({ jid })).exec();
      const adapter = sidekiqAdapter({ redis: url, queues: ["default"], ruby: { gem: true } });
      onTestFinished(() => adapter.detach());
      const dead = { incarnation: "dead.0", ids: [packed("gem", "dead")], claims: [] };
      const [orphan] = await adapter.heldBy("sidekiq:default", [dead]);
      await redis.del(`${GEM}:recovery_lock`); // ours, which would keep the gem from it
      await ruby.call("assured_jobs_pass");
      expect(await scene().waiting()).toHaveLength(1);
      expect(await adapter.requeue(orphan!, { delay: 0 })).toBe("finished");
      expect(await scene().waiting()).toHaveLength(1);
    });
  },
  { sets: ["sidekiq6"], requires: ["assured-jobs"] },
);

await eachRuby(
  (scene) => {
    test("kill -9 a Ruby worker without any gem: what Sidekiq listed of it runs again once its record has lapsed", async () => {
      const { redis, ruby } = scene();
      const seen = await watch(scene(), { bare: true });
      const worker = await scene().hire();
      await isListed(seen, `ruby:${worker.identity.split(":").slice(0, 2).join(":")}`);
      const jid = await ruby.call("perform_async", "SleepJob", 300, "bare");
      const copy = `assured:ruby:${worker.identity}`;
      await until("what it works on is copied", () => redis.exists(copy));
      await worker.kill();
      await lapse(scene(), worker);
      await until("it is given back", () => seen.recovered.length === 1, PATIENCE);
      expect(seen.recovered[0]).toMatchObject({ orphan: { id: jid, name: "SleepJob" }, deaths: 1 });
      expect(await scene().waiting()).toHaveLength(1);
      const { items } = await seen.assurance.snapshot.instances({ state: "dead" });
      expect(items[0]).toMatchObject({ name: expect.stringContaining("ruby:") as string, pid: worker.pid });
    }, 90_000);

    test("a Ruby worker without any gem that leaves by itself is no death, and its job comes back once", async () => {
      const { redis, ruby } = scene();
      const seen = await watch(scene(), { bare: true });
      const worker = await scene().hire({ timeout: 1, concurrency: 1 });
      await isListed(seen, `ruby:${worker.identity.split(":").slice(0, 2).join(":")}`);
      await ruby.call("perform_async", "SleepJob", 300, "leaves");
      await until("what it works on is copied", () => redis.exists(`assured:ruby:${worker.identity}`));
      await worker.stop();
      await until("it is forgotten", async () => (await redis.hlen("assured:ruby:watched")) === 0, PATIENCE);
      await lapse(scene(), worker);
      await seen.assurance.recover();
      expect([seen.recovered, seen.deaths]).toEqual([[], []]);
      expect(await scene().waiting()).toHaveLength(1);
    }, 90_000);
  },
  { sets: ["sidekiq6", "sidekiq7"] },
);
