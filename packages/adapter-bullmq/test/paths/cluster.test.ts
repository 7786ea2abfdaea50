/* BullMQ and the store on a Redis Cluster whose slots move to other nodes again and again, while processes are killed.
 *
 * All keys of a queue are in one slot, those of the store in another; both move, with everybody at work.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startCluster } from "../../../core/test/support/cluster.ts";
import type { RedisCluster } from "../../../core/test/support/cluster.ts";
import { redisStore } from "@assured-jobs/core";
import { Queue } from "bullmq";
import { Cluster } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { Fleet } from "../crash/fleet.ts";
import type { Member } from "../crash/fleet.ts";
import { until } from "@assured-jobs/core/testing";
import { STEADY } from "./scene.ts";

const PREFIX = "{bull}";
const JOBS = 400;
const MOVES = 12;
/** For so long both nodes have some of the keys, and scripts that want them all are told to try again. */
const HALFWAY = 100;

test(
  "slots move and processes die: no job is lost or accepted twice, and nobody who lives dies",
  { timeout: 240_000 },
  async () => {
    const { cluster, fleet, queue } = await openOnCluster();
    const spawn = (): Promise<Member> =>
      fleet.spawn({
        nodes: cluster.addresses,
        assurance: STEADY,
        worker: { prefix: PREFIX, concurrency: 5, lockDuration: 5_000, stalledInterval: 5_000, runRetryDelay: 300 },
      });
    const team = await Promise.all([spawn(), spawn(), spawn()]);
    await queue.addBulk(Array.from({ length: JOBS }, (_, n) => ({ name: "job", data: { ms: 50 + ((n * 37) % 400) } })));
    const killed: string[] = [];
    for (let move = 0; move < MOVES; move++) {
      await cluster.migrate("bull", async () => {
        if (move % 3 === 2) killed.push(await killOne(team, move));
        await sleep(HALFWAY);
      });
      await cluster.migrate("assured_jobs", () => sleep(HALFWAY));
      for (const [n, { isGone }] of team.entries()) if (isGone) team[n] = await spawn();
    }
    await until("every job has ended", async () => (await queue.getCompletedCount()) === JOBS, 150_000);
    const accepted = await acceptedOn(cluster, queue);
    expect(accepted.size).toBe(JOBS);
    expect([...accepted].filter(([, times]) => times !== 1)).toEqual([]);
    await until("all deaths are known, and no other", async () => {
      const { items } = await fleet.store.ledger.history("deaths", { limit: 100 });
      expect(items.map(({ who }) => who).filter((who) => !killed.includes(who))).toEqual([]);
      return items.length === killed.length;
    });
    expect(team.flatMap((member) => member.all("instance.fenced"))).toHaveLength(0);
    expect(fleet.told("beside-itself")).toHaveLength(0);
  },
);

async function killOne(team: readonly Member[], turn: number): Promise<string> {
  const victim = team[Math.floor(turn / 3) % team.length]!;
  await victim.kill();
  return victim.incarnation;
}

async function openOnCluster(): Promise<{ cluster: RedisCluster; fleet: Fleet; queue: Queue }> {
  const cluster = await startCluster();
  onTestFinished(() => cluster.stop());
  const client = new Cluster(cluster.addresses, { redisOptions: { maxRetriesPerRequest: null } });
  onTestFinished(() => client.disconnect());
  const queue = new Queue("on-a-cluster", {
    connection: client,
    prefix: PREFIX,
    streams: { events: { maxLen: 1_000_000 } },
  });
  queue.on("error", () => {});
  onTestFinished(() => queue.close());
  const store = redisStore({ client });
  await store.open();
  onTestFinished(() => store.close());
  return { cluster, fleet: new Fleet(cluster.nodes[0]!.server, queue, store), queue };
}

/** How often each job's end was accepted, by the queue's own record. */
async function acceptedOn(cluster: RedisCluster, queue: Queue): Promise<Map<string, number>> {
  const owner = await cluster.owner("bull");
  const fleet = new Fleet(owner.server, queue, undefined as never);
  return fleet.accepted();
}
