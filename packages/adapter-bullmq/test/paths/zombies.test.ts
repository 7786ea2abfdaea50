/* P4 at scale: processes that are stopped, or cut off, for longer than every lease, and come back in the midst of runs
 * that were given away. Their handlers are deaf: they go on to their end and try to finish.
 *
 * The locks outlive the test, so that none of them lapses: whatever becomes of a lock was done by somebody. A sampler
 * reads them all at once, as often as it can: an active job has a lock at every moment, and one run has one lock.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import type { Member } from "../crash/fleet.ts";
import { until } from "@assured-jobs/core/testing";
import { Scene } from "./scene.ts";
import type { Traveller } from "./scene.ts";

const TEAM = 6;
const JOBS_EACH = 5;
const ROUNDS = 20;
const QUICK = {
  heartbeatInterval: 200,
  heartbeatTtl: 1_000,
  presenceGrace: 300,
  lookInterval: 50,
  recoveryInterval: 100,
} as const;
const LOCK_FOREVER = { lockDuration: 600_000, concurrency: JOBS_EACH };

test(
  "a hundred zombies come back: no late write is accepted, no lock is freed by the wrong hand, all are born again",
  { timeout: 400_000 },
  async ({ onTestFinished }) => {
    const scene = await Scene.open(onTestFinished, { assurance: QUICK, worker: LOCK_FOREVER });
    const { fleet } = scene;
    const locks = new Locks(fleet.redis.port, fleet.queue.qualifiedName);
    onTestFinished(() => locks.stop());
    const team = await Promise.all(Array.from({ length: TEAM }, () => scene.travel()));
    const ids: string[] = [];
    let resumed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const held = await fillUp(scene);
      resumed += await goneAndBack(scene, team.toSpliced(round % TEAM, 1), round);
      await scene.ended(held);
      ids.push(...held);
    }
    const accepted = await fleet.accepted();
    expect(ids.filter((id) => accepted.get(id) !== 1)).toEqual([]);
    await scene.healed(team.map(({ member }) => member));
    locks.stop();
    const refused = fleet
      .told("run.fenced")
      .map(({ process, payload }) => `${process.name} ${JSON.stringify(payload)}`);
    expect(new Set(refused).size, "late writes that were refused").toBeGreaterThan(100);
    expect(resumed).toBeGreaterThanOrEqual(100);
    expect(locks.wrongs).toEqual([]);
    expect(locks.runs).toBeGreaterThan(ids.length);
    expect(locks.samples).toBeGreaterThan(1_000);
  },
);

/** More jobs than the whole team can take, all of them deaf, and everybody has some. */
async function fillUp({ fleet }: Scene): Promise<string[]> {
  const count = TEAM * JOBS_EACH;
  const lengths = Array.from({ length: count }, (_, n) => 600 + ((n * 137) % 900));
  const jobs = await fleet.queue.addBulk(lengths.map((ms) => ({ name: "job", data: { task: "stubborn", ms } })));
  const ids = jobs.map(({ id }) => id!);
  for (const id of ids) await fleet.started(id, 1);
  return ids;
}

/** All of `zombies` are stopped, or cut off while they work on; when they are dead and robbed they come back. */
async function goneAndBack(scene: Scene, zombies: readonly Traveller[], round: number): Promise<number> {
  const { store } = scene.fleet;
  const doomed = zombies.map(({ member }) => incarnationOf(member));
  const isCutOff = (n: number): boolean => (n + round) % 3 === 0;
  zombies.forEach(({ member, path }, n) => (isCutOff(n) ? path.freeze() : member.freeze()));
  await until("all are declared dead", async () => {
    const dead = new Set(await scene.deaths());
    return doomed.every((incarnation) => dead.has(incarnation));
  });
  await until("what they held was given back", async () => (await store.ledger.counts()).pending === 0);
  zombies.forEach(({ member, path }, n) => (isCutOff(n) ? path.thaw() : member.thaw()));
  for (const [n, { member }] of zombies.entries()) {
    await until(`${member.name} is born again`, () => incarnationOf(member) !== doomed[n], 30_000);
  }
  return zombies.length;
}

function incarnationOf(member: Member): string {
  const reborn = member.all("instance.reborn").at(-1)?.payload as { incarnation: string } | undefined;
  return reborn?.incarnation ?? member.incarnation;
}

const ACTIVE = `
  local out = {}
  for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    local job = ARGV[1] .. id
    table.insert(out, id .. ' ' .. (redis.call('HGET', job, 'ats') or '-'))
    table.insert(out, redis.call('GET', job .. ':lock') or '')
  end
  return out`;

/** Looks at the locks of all active jobs, in one instant each time. */
class Locks {
  samples = 0;
  readonly wrongs: string[] = [];
  readonly #redis: Redis;
  readonly #queue: string;
  readonly #locks = new Map<string, string>();
  #stopped = false;

  constructor(port: number, queue: string) {
    this.#redis = new Redis(port);
    this.#queue = queue;
    void this.#watch();
  }

  get runs(): number {
    return this.#locks.size;
  }

  stop(): void {
    this.#stopped = true;
    this.#redis.disconnect();
  }

  async #watch(): Promise<void> {
    for (; !this.#stopped; await sleep(3)) {
      const reply = await this.#redis.eval(ACTIVE, 1, `${this.#queue}:active`, `${this.#queue}:`).catch(() => []);
      this.#note(reply as string[]);
      this.samples++;
    }
  }

  #note(reply: readonly string[]): void {
    for (let at = 0; at < reply.length; at += 2) {
      const [run = "", lock = ""] = reply.slice(at, at + 2);
      const before = this.#locks.get(run) ?? lock;
      this.#locks.set(run, before);
      if (lock === "") this.wrongs.push(`${run} has no lock`);
      else if (lock !== before) this.wrongs.push(`${run}: ${before} became ${lock}`);
    }
  }
}
