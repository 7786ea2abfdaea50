/* Iterable jobs of Sidekiq 7.3 and newer keep their place in `it-<jid>`, and go on from there. None of our ways with a job
 * touches that. */
import { until } from "@assured-jobs/core/testing";
import { expect, test } from "vitest";
import { eachRuby } from "./support.ts";
import type { Scene } from "./support.ts";

const LAST = 12;
const inOrder = Array.from({ length: LAST }, (_, nth) => nth + 1);

/* TSTP as Sidekiq's Web sends it: the job is interrupted between two steps, and pushed again. */
async function interrupted(scene: Scene): Promise<string> {
  const jid = (await scene.ruby.call("perform_async", "CountJob", LAST, 0.1))!;
  const worker = await scene.hire({ concurrency: 1 });
  await scene.heard("iterations", jid);
  await scene.redis.lpush(`${worker.identity}-signals`, "TSTP");
  await until("it is interrupted", async () => (await scene.waiting()).length === 1);
  expect(await scene.redis.hget(`it-${jid}`, "ex")).toBe("1");
  return jid;
}

const goesOn = async (scene: Scene, jid: string): Promise<void> => {
  await scene.hire();
  await scene.heard("dones", jid);
  expect((await scene.told("iterations")).map((told) => told["number"])).toEqual(inOrder);
  expect(await scene.told("resumes")).toMatchObject([{ jid }]);
};

await eachRuby(
  (scene) => {
    test("one that was interrupted and refused by Node goes on where it was", async () => {
      const jid = await interrupted(scene());
      const state = await scene().redis.hgetall(`it-${jid}`);
      const texts = await scene().waiting();
      const refused: string[] = [];
      const worker = await scene().work({ handlers: { Other: () => {} } });
      worker.on("refused", (job) => void refused.push(job.jid));
      await until("it was refused", () => refused.includes(jid));
      await worker.stop();
      expect(await scene().waiting()).toEqual(texts);
      expect(await scene().redis.hgetall(`it-${jid}`)).toEqual(state);
      await goesOn(scene(), jid);
    });

    test("one that a leaving Node process had fetched goes on where it was", async () => {
      const jid = await interrupted(scene());
      const state = await scene().redis.hgetall(`it-${jid}`);
      const worker = await scene().work({ handlers: { CountJob: () => new Promise(() => {}) } });
      await until("Node has it", () => worker.busy === 1);
      await worker.stop({ timeout: 0 });
      expect(await scene().redis.hgetall(`it-${jid}`)).toEqual(state);
      await goesOn(scene(), jid);
    });
  },
  { sets: ["sidekiq7"] },
);
