/* What each script compares before it acts, step by step, where no real race could be trusted to come about. */
import { RecordingHost, until } from "@assured-jobs/core/testing";
import { startRedis } from "@assured-jobs/dev-redis";
import type { RedisHandle } from "@assured-jobs/dev-redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { claim } from "../src/scripts/claim.ts";
import { fetch } from "../src/scripts/fetch.ts";
import { finish } from "../src/scripts/finish.ts";
import { retract } from "../src/scripts/retract.ts";
import { sweep } from "../src/scripts/sweep.ts";
import { ServedQueue } from "../src/served-queue.ts";
import { nativeOf, Scene } from "./support/bee.ts";

let server: RedisHandle;
beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

const HOLDER = "holder";

/** One process at the level of scripts. */
class Hand {
  readonly scene: Scene = new Scene(server.url);
  readonly served: ServedQueue = new ServedQueue(nativeOf(this.scene.queue));
  #number = 0;

  constructor() {
    this.served.join(nativeOf(this.scene.queue));
  }

  async fetch(wanted = 1, number: number = ++this.#number): Promise<{ due: number; ids: string[]; proofs: string[] }> {
    const { waiting, active, jobs, stalling, owner, run, parked } = this.scene.keys;
    const where = [waiting, active, jobs, stalling, owner, run, parked, this.scene.keys.bar(HOLDER)];
    const [due, ...rest] = (await this.served.run(fetch, [...where, HOLDER, wanted, number])) as [number, ...string[]];
    const every = (nth: number): string[] => rest.filter((_, at) => at % 3 === nth);
    return { due, ids: every(0), proofs: every(2) };
  }

  retract(number: number): Promise<unknown> {
    const { owner, active, waiting } = this.scene.keys;
    return this.served.run(retract, [owner, active, waiting, this.scene.keys.bar(HOLDER), HOLDER, number, 60_000]);
  }

  async finish(id: string, proof: string): Promise<unknown> {
    const { owner, active, stalling, waiting, jobs, parked, succeeded, channels } = this.scene.keys;
    const row = JSON.parse((await this.scene.redis.hget(jobs, id)) ?? "{}");
    const where = [owner, active, stalling, waiting, jobs, parked, succeeded];
    const args = [id, proof, "set", JSON.stringify({ ...row, status: "succeeded" }), "", channels.events, 0];
    return this.served.run(finish, [...where, ...args, channels.earlierDelayed, row.options.timestamp]);
  }
}

/** As Bee's own stall check does with a job whose worker it takes for dead. */
async function moveAsBeeDoes({ redis, keys }: Scene, id: string): Promise<void> {
  await redis.multi().lrem(keys.active, 0, id).lpush(keys.waiting, id).exec();
}

describe("an owner that is left over", () => {
  test.each(["succeeded", "failed"] as const)(
    "of a job that has %s by another worker's hand moves nothing",
    async (how) => {
      const hand = new Hand();
      const { scene } = hand;
      const id = await scene.add();
      const { proofs } = await hand.fetch();
      await moveAsBeeDoes(scene, id);
      await scene.redis.multi().rpop(scene.keys.waiting).sadd(scene.keys[how], id).exec(); // a worker without assurance did it
      const orphan = { queue: scene.key, id, run: 1, proof: proofs[0]!, holder: {} as never };
      expect(await scene.adapter().requeue(orphan, { delay: 0 })).toBe("finished");
      expect([await scene.waiting(), await scene.active(), await scene.owners()]).toEqual([[], [], {}]);
    },
  );
});

describe("a fetch", () => {
  test("takes the oldest first, as many as are wanted, each with a run of its own", async () => {
    const hand = new Hand();
    const ids = [await hand.scene.add(), await hand.scene.add(), await hand.scene.add()];
    const two = await hand.fetch(2);
    const one = await hand.fetch(2);
    expect([two.ids, one.ids]).toEqual([ids.slice(0, 2), ids.slice(2)]);
    const runs = [...two.proofs, ...one.proofs].map((proof) => Number(proof.split(":")[2]));
    expect(runs).toEqual([...new Set(runs)].toSorted((a, b) => a - b));
  });

  test("takes its jobs out of the stalled set, so that Bee's own check starts anew with them", async () => {
    const hand = new Hand();
    const id = await hand.scene.add();
    await hand.scene.redis.sadd(hand.scene.keys.stalling, id, "other");
    await hand.fetch();
    expect(await hand.scene.redis.smembers(hand.scene.keys.stalling)).toEqual(["other"]);
  });

  test("that was given up is refused when it comes after all, also with its predecessors", async () => {
    const hand = new Hand();
    await hand.scene.add();
    await hand.retract(7);
    for (const number of [6, 7]) expect(await hand.fetch(1, number)).toEqual({ due: -2, ids: [], proofs: [] });
    expect(await hand.scene.active()).toEqual([]);
    expect((await hand.fetch(1, 8)).ids.length).toBe(1);
  });

  test("that is undone gives back what it took, and nothing that another fetch took", async () => {
    const hand = new Hand();
    const ids = [await hand.scene.add(), await hand.scene.add(), await hand.scene.add()];
    await hand.fetch(1, 1);
    await hand.fetch(2, 11);
    await hand.retract(1);
    expect([await hand.scene.waiting(), Object.keys(await hand.scene.owners())]).toEqual([[ids[0]], ids.slice(1)]);
  });

  test("says when the next job that was given back with a delay is due", async () => {
    const hand = new Hand();
    const id = await hand.scene.add();
    await hand.scene.redis.lpop(hand.scene.keys.waiting);
    await hand.scene.redis.zadd(hand.scene.keys.parked, Date.now() + 30_000, id);
    const { due, ids } = await hand.fetch();
    expect([due > 20_000 && due <= 30_000, ids]).toEqual([true, []]);
  });
});

describe("an end", () => {
  test("of a job that Bee's check put back takes it off the waiting list, or off the side, where it was seen", async () => {
    for (const isSeen of [false, true]) {
      const hand = new Hand();
      const id = await hand.scene.add();
      const { proofs } = await hand.fetch();
      await moveAsBeeDoes(hand.scene, id);
      if (isSeen) await hand.fetch();
      expect(await hand.finish(id, proofs[0]!)).toBe(1);
      const { waiting, active, parked } = hand.scene.keys;
      expect(await Promise.all([waiting, active].map((key) => hand.scene.redis.llen(key)))).toEqual([0, 0]);
      expect(await hand.scene.redis.zcard(parked)).toBe(0);
    }
  });

  test("takes its job out of the stalled set", async () => {
    const hand = new Hand();
    const id = await hand.scene.add();
    const { proofs } = await hand.fetch();
    await hand.scene.redis.sadd(hand.scene.keys.stalling, id);
    await hand.finish(id, proofs[0]!);
    expect(await hand.scene.redis.scard(hand.scene.keys.stalling)).toBe(0);
  });
});

describe("an orphan", () => {
  test("that Bee's check put back is in one place only after it was given back", async () => {
    for (const isSeen of [false, true]) {
      const hand = new Hand();
      const id = await hand.scene.add();
      const { proofs } = await hand.fetch();
      await moveAsBeeDoes(hand.scene, id);
      if (isSeen) await hand.fetch();
      const orphan = { queue: hand.scene.key, id, run: 1, proof: proofs[0]!, holder: {} as never };
      expect(await hand.scene.adapter().requeue(orphan, { delay: 0 })).toBe("requeued");
      expect(await hand.scene.waiting()).toEqual([id]);
      expect(await hand.scene.redis.zcard(hand.scene.keys.parked)).toBe(0);
    }
  });
});

describe("what is active and nobody's", () => {
  test("is not swept when it has got an owner meanwhile", async () => {
    const hand = new Hand();
    const { active, owner, jobs, stalling, waiting } = hand.scene.keys;
    const id = await hand.scene.add();
    await hand.fetch();
    expect(await hand.served.run(sweep, [active, owner, jobs, stalling, waiting, id])).toEqual([]);
    expect(await hand.scene.active()).toEqual([id]);
  });

  test("is claimed once, and not when it is active no more", async () => {
    const hand = new Hand();
    const { active, owner, run, waiting } = hand.scene.keys;
    const id = await hand.scene.add();
    const one = (): Promise<unknown> => hand.served.run(claim, [active, owner, run, id, HOLDER, 1]);
    expect(await one()).toBeNull();
    await hand.scene.redis.lmove(waiting, active, "RIGHT", "LEFT");
    expect([await one(), await one()]).toEqual([`${HOLDER}:1:1`, null]);
  });

  test("a look takes what is owned out of the stalled set, whoever put it there", async () => {
    const hand = new Hand();
    const id = await hand.scene.add();
    await hand.fetch();
    const { stalling, stallBlock } = hand.scene.keys;
    await hand.scene.redis.multi().sadd(stalling, id).set(stallBlock, 1).exec();
    const fleet = { observed: 0, living: new Set([HOLDER]), mute: new Set<string>() };
    await hand.scene.adapter().upkeep?.(hand.scene.key, fleet);
    expect(await hand.scene.redis.scard(stalling)).toBe(0);
  });
});

test("a job costs two scripts: no further command is sent for it", async () => {
  const scene = new Scene(server.url);
  const worker = scene.open();
  const host = new RecordingHost();
  await scene.adapter({ queues: [worker] }).attach(host);
  await scene.queue.saveAll(Array.from({ length: 100 }, () => scene.queue.createJob({})));
  await worker.ready();
  const sent: string[] = [];
  for (const client of [nativeOf(worker).client, nativeOf(worker).bclient] as unknown as Client[]) {
    const send = client.internal_send_command.bind(client);
    client.internal_send_command = (command) => {
      sent.push(command.command);
      return send(command);
    };
  }
  worker.process(async () => 1);
  await until("all have ended", () => host.runs.filter(({ ended }) => ended).length === 100);
  const counts = sent.filter((name) => !["blmove", "eval", "info"].includes(name));
  expect(new Set(counts)).toEqual(new Set(["evalsha"]));
  expect(counts.length).toBeLessThan(210);
});

interface Client {
  internal_send_command(command: { command: string }): unknown;
}
