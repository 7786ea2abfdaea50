/* Paths that work, badly: slow, torn into bytes, reset again and again, there and not there.
 *
 * Under all of it nobody is given up, because every connection that comes up beats first, and what was accepted stays
 * accepted. What a lost answer had fetched is held by a live process that does not know of it: BullMQ's rule for a job
 * that nobody answers for gives it back, after a lock and a minute.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ProxyHandle } from "@assured-jobs/dev-proxy";
import { expect, test } from "vitest";
import { PATIENT, Scene, STEADY } from "./scene.ts";

const ROUGH = 10_000;
const JOBS = 60;

/** What a path goes through for ten seconds. */
interface Weather {
  readonly name: string;
  /** Strikes again and again, ms apart. Default: it lasts. */
  readonly every?: number;
  readonly strike: (path: ProxyHandle, round: number) => void | Promise<void>;
  /** Answers are lost: a job that was fetched may wait for a minute. */
  readonly loses?: boolean;
}

/** The one that takes longest comes first. */
const WEATHERS: readonly Weather[] = [
  {
    name: "broken off in the midst of a reply every 200 ms",
    every: 200,
    loses: true,
    strike: (path, round) => path.breakOff(1 + ((round * 7) % 40)),
  },
  { name: "every packet 200 ms late", strike: (path) => path.delay(200) },
  { name: "every packet up to 400 ms late", strike: (path) => path.delay(0, 400) },
  { name: "torn into single bytes", strike: (path) => path.tear(1) },
  { name: "torn into threes, and late", strike: (path) => (path.tear(3), path.delay(5, 20)) },
  { name: "reset every 300 ms", every: 300, loses: true, strike: (path) => path.reset() },
  {
    name: "cut every other 300 ms",
    every: 300,
    loses: true,
    strike: (path, round) => (round % 2 === 0 ? path.cut() : path.mend()),
  },
];

test.concurrent.for(WEATHERS.map((weather) => [weather.name, weather] as const))(
  "a path %s kills nobody, loses nothing and doubles nothing",
  PATIENT,
  async ([, { every = ROUGH / 2, loses, strike }], { onTestFinished }) => {
    const scene = await Scene.open(onTestFinished, { assurance: { ...STEADY, presenceGrace: 2_000 } });
    const { member, path } = await scene.travel();
    const held = await scene.atWork(2);
    const helper = await scene.helper();
    const added = await scene.fleet.queue.addBulk(
      Array.from({ length: JOBS }, (_, n) => ({ name: "job", data: { ms: (n * 37) % 300 } })),
    );
    const ids = [...held, ...added.map(({ id }) => id!)];
    for (let round = 0; round * every < ROUGH; round++) {
      await strike(path, round);
      await sleep(every); // the weather itself
      if (round === Math.floor(ROUGH / 2 / every)) await scene.end(held.slice(0, 1));
    }
    await path.mend();
    await scene.end(held);
    await scene.ended(ids, loses ? 120_000 : 30_000);
    expect(await scene.deaths()).toEqual([]);
    for (const id of held) expect(scene.ranIn(id)).toEqual([member.name]);
    if (!loses) await scene.nothingHappened(ids);
    await scene.healed([member, helper]);
  },
);
