/* Processes at work while their store fails, and what must be true of them afterwards, whatever their queue.
 *
 * The outages of these tests last longer than every lease and every lock, so whoever trusts either alone sees deaths.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@assured-jobs/core/testing";
import type { Store } from "@assured-jobs/core";
import { Redis } from "ioredis";
import { expect } from "vitest";
import type { Cleanup, Member, Told } from "./index.ts";

/** Longer than the lease of STEADY, and than LOCK. */
export const OUTAGE = 8_000;
/** What queues have of their own against deaths (locks, stall marks) is to last so long in these tests. */
export const LOCK = 3_000;
/** Jobs that begin right before an outage and end in it: one while its lock is still there, one when it has lapsed. */
const ENDING = [LOCK / 2, OUTAGE * 0.6] as const;
/** Jobs that outlast the outage: enough of them to meet every order in which things happen when it ends. */
const LASTING = 6;
/** Time for a test of one outage on a busy machine. */
export const PATIENT = { timeout: 240_000 } as const;
/** What an outage is measured against. */
export const STEADY = { heartbeatInterval: 500, heartbeatTtl: 6_000, presenceGrace: 1_000 } as const;

/** Processes on one queue, as a crew needs them. `Options` are those of a process. */
export interface Fleet<Options> {
  readonly store: Store;
  spawn(options?: Options): Promise<Member>;
  add(data?: object): Promise<string>;
  /** A job whose id no other one ever had, also when the server has forgotten how far it had counted. */
  addUnique(data: object): Promise<string>;
  started(id: string, times: number): Promise<Told>;
  starts(id: string): Told[];
  told(type: string): Told[];
  /** By the queue's own record. */
  isDone(id: string): Promise<boolean>;
  /** How often each job's end was accepted. */
  accepted(): Promise<ReadonlyMap<string, number>>;
}

/** Three processes, and what they work on: two jobs that end in the midst of the outage and some that take `ms`. */
export class Crew<Options> {
  readonly fleet: Fleet<Options>;
  readonly team: Member[];
  readonly ids: string[];

  constructor(fleet: Fleet<Options>, team: Member[], ids: string[] = []) {
    this.fleet = fleet;
    this.team = team;
    this.ids = ids;
  }

  static async atWork<Options>(fleet: Fleet<Options>, ms: number, options: Options): Promise<Crew<Options>> {
    const team = await inTurn(async () => [
      await fleet.spawn(options),
      await fleet.spawn(options),
      await fleet.spawn(options),
    ]);
    const lengths = [...ENDING, ...Array.from({ length: LASTING }, () => ms)];
    const ids = await Promise.all(lengths.map((length) => fleet.add({ ms: length })));
    for (const id of ids) await fleet.started(id, 1);
    return new Crew(fleet, team, ids);
  }

  /** Everybody beats again. */
  async isBack(): Promise<void> {
    await until("everybody is alive", async () => {
      const states = await this.states().catch(() => []);
      return states.length === this.team.length && states.every((state) => state === "alive");
    });
  }

  async states(): Promise<string[]> {
    const { items } = await this.fleet.store.roster.instances({ limit: 100 });
    return items.map(({ state }) => state);
  }

  /** Each job has run once, and its end was accepted. */
  async endedOnce(): Promise<void> {
    for (const id of this.ids) {
      await until(`job ${id} ends`, () => this.fleet.isDone(id), 40_000);
      expect(this.fleet.starts(id), `runs of job ${id}`).toHaveLength(1);
    }
    await this.acceptedOnce();
  }

  /** A worker may hear of it, and tell, a little later than the queue shows it. */
  async acceptedOnce(): Promise<void> {
    const accepted = await until("every end was told", async () => {
      const told = await this.fleet.accepted();
      return this.ids.every((id) => told.has(id)) && told;
    });
    for (const id of this.ids) expect(accepted.get(id), `accepted ends of job ${id}`).toBe(1);
  }

  /** Nobody was taken for dead: not by anybody's event, not by the store's list. */
  async allLive(): Promise<void> {
    expect(this.fleet.told("instance.dead").map(({ payload }) => payload)).toEqual([]);
    expect(this.fleet.told("instance.fenced").map(({ process }) => process.name)).toEqual([]);
    expect(await this.fleet.store.roster.dead()).toEqual([]);
    expect(this.team.filter((member) => member.isGone)).toEqual([]);
  }

  /** One of them is killed for real: that is still noticed, and its job runs again. */
  async isStillMortal(within = 15_000): Promise<void> {
    const { fleet } = this;
    const id = await fleet.addUnique({ ms: 300_000 });
    const { process: holder } = await fleet.started(id, 1);
    await holder.kill();
    const before = performance.now();
    expect((await fleet.started(id, 2)).process).not.toBe(holder);
    expect(performance.now() - before).toBeLessThan(within);
    const dead = (await fleet.store.roster.dead()).map(({ registration }) => registration.incarnation);
    expect(dead).toEqual([holder.incarnation]);
  }
}

let starting: Promise<unknown> = Promise.resolve();

/* Crews of tests that run side by side start one after the other: to start costs more than all that follows. */
function inTurn<T>(start: () => Promise<T>): Promise<T> {
  const started = starting.then(start);
  starting = started.catch(() => {});
  return started;
}

/** Waits until the store has seen so much time pass. */
export async function observes({ store }: { readonly store: Store }, ms: number): Promise<void> {
  const request = { by: "nobody", duties: [], dutyTtl: 1, interval: 1 };
  const observed = async (): Promise<number> => (await store.roster.look(request)).observed;
  const end = (await observed()) + ms;
  await until(`${ms} ms of observed time pass`, async () => (await observed()) >= end, 10 * ms);
}

/** The outage itself: a span of time, and no condition to wait for. */
export const during = (ms = OUTAGE): Promise<void> => sleep(ms);

/** Says to a server what an operator, or a fault, would do to it; goes on when it was away. */
export function adminOf({ port }: { readonly port: number }, cleanup: Cleanup): Redis {
  const admin = new Redis(port, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  admin.on("error", () => {});
  cleanup(() => admin.disconnect());
  return admin;
}
