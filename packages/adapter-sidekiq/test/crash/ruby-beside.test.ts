/* Real Ruby workers without any gem beside ours, on the same queue, both killed again and again. What Ruby has popped is
 * in its memory alone, so its SIGKILL loses it: that is measured here, and it is all that is lost. What one of ours has
 * fetched is never lost, whoever it runs in later.
 *
 * RUBY_KILLS=50 npm test -- --project adapter-sidekiq test/crash/ruby-beside kills so many of each. */
import { until } from "@assured-jobs/core/testing";
import { rubyAvailable, startSidekiq } from "@assured-jobs/dev-ruby";
import type { RubyWorker } from "@assured-jobs/dev-ruby";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { NOTHING, openFleet } from "./fleet.ts";
import type { Fleet } from "./fleet.ts";

const KILLS = Number(process.env["RUBY_KILLS"] ?? 4);
const THREADS = 5;
const CREW = 2;
/** So many jobs wait at any time, or nobody would have to share. */
const BACKLOG = 100;
const reason = await rubyAvailable("sidekiq7");
if (reason) console.warn(`skipped: Ruby beside us. ${reason}`);

interface TellTale {
  readonly jid: string;
  readonly pid: number;
}

const told = async ({ scene }: Fleet, list: "starts" | "dones"): Promise<TellTale[]> =>
  (await scene.redis.lrange(list, 0, -1)).map((text) => JSON.parse(text) as TellTale);

/** Keeps the queue filled until it is told to stop; then resolves to the jids of all jobs. */
function feed(fleet: Fleet): () => Promise<readonly string[]> {
  const jids: string[] = [];
  const over = new AbortController();
  const { redis, keys, queue } = fleet.scene;
  const feeding = (async () => {
    for (; !over.signal.aborted; await sleep(20)) {
      const missing = BACKLOG - (await redis.llen(keys.queue(queue).waiting));
      for (let n = 0; n < missing; n++)
        jids.push(await fleet.scene.push({ class: "SleepJob", args: [Math.random() * 0.3, "beside"] }));
    }
  })();
  return async () => {
    over.abort();
    await feeding;
    return jids;
  };
}

async function ruby(fleet: Fleet): Promise<RubyWorker> {
  const worker = await startSidekiq("sidekiq7", { redisUrl: fleet.redis.url, concurrency: THREADS });
  fleet.cleanup(() => worker.kill());
  const works = async (): Promise<boolean> =>
    (await told(fleet, "starts")).filter(({ pid }) => pid === worker.pid).length > THREADS;
  await until("it works", works, 60_000);
  return worker;
}

/** Nobody has anything to do any more; jobs that Ruby has done are told before it takes the next ones. */
async function settled(fleet: Fleet, rubies: readonly RubyWorker[]): Promise<void> {
  const alive = new Set(rubies.map(({ pid }) => pid));
  await until(
    "everything has ended, or is lost",
    async () => {
      const isIdle = Object.values((await fleet.leftovers()) as Record<string, number>).every((count) => count === 0);
      const mine = (tales: TellTale[]): number => tales.filter(({ pid }) => alive.has(pid)).length;
      return isIdle && mine(await told(fleet, "starts")) === mine(await told(fleet, "dones"));
    },
    60_000,
  );
}

test.skipIf(reason)(
  `${KILLS} kills of Ruby's and of ours: what Ruby had popped is lost, and nothing else is`,
  { timeout: 120_000 + KILLS * 10_000 },
  async () => {
    const fleet = await openFleet({ withoutPrefix: true });
    const assurance = { recoveryWindow: 1_000 };
    const hire = (): ReturnType<Fleet["spawn"]> => fleet.spawn({ concurrency: THREADS, assurance });
    const stopFeeding = feed(fleet);
    const ours = await Promise.all(Array.from({ length: CREW }, hire));
    const rubies = await Promise.all(Array.from({ length: CREW }, () => ruby(fleet)));
    for (let kill = 0; kill < KILLS; kill++) {
      const turn = kill % CREW;
      await rubies[turn]!.kill();
      await ours[turn]!.kill();
      [rubies[turn], ours[turn]] = await Promise.all([ruby(fleet), hire()]);
    }
    const jids = await stopFeeding();
    await settled(fleet, rubies);
    expect(await fleet.leftovers()).toEqual(NOTHING);

    const dones = (await told(fleet, "dones")).map(({ jid }) => jid);
    const started = new Set((await told(fleet, "starts")).map(({ jid }) => jid));
    const byRuby = new Map<string, number>();
    for (const jid of dones) byRuby.set(jid, (byRuby.get(jid) ?? 0) + 1);
    const ends = (jid: string): number => fleet.accepted(jid).length + (byRuby.get(jid) ?? 0);
    const lost = jids.filter((jid) => ends(jid) === 0);
    const midRun = lost.filter((jid) => started.has(jid)).length;
    console.log(
      `Ruby beside: ${KILLS} kills each, ${jids.length} jobs, ${byRuby.size} done by Ruby, ${jids.length - byRuby.size - lost.length} by us; ` +
        `given back ${fleet.record.returned.length}; lost ${lost.length}: ${midRun} in mid-run in Ruby, ${lost.length - midRun} popped and not begun.`,
    );
    expect(fleet.record.open, "fetched by ours, and neither ended nor given back").toEqual([]);
    expect(
      jids.filter((jid) => ends(jid) > 1),
      "ended twice",
    ).toEqual([]);
    expect(fleet.record.returned.length).toBeGreaterThan(0);
    expect(lost.length).toBeGreaterThan(0);
    expect(lost.length, "no more than Ruby's threads could hold").toBeLessThanOrEqual(KILLS * THREADS);
  },
);
