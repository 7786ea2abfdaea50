/* Processes that each have a path of their own to Redis, and what must be true of them whatever became of the paths.
 *
 * The witness has no path that can break and does no work: it is on watch, so that the others are judged all the time.
 */
import { startProxy } from "@assured-jobs/dev-proxy";
import type { ProxyHandle } from "@assured-jobs/dev-proxy";
import type { RecordedEvent } from "@assured-jobs/core";
import { expect } from "vitest";
import type { TestContext } from "vitest";
import { openFleet } from "../crash/fleet.ts";
import type { Cleanup, Fleet, Member, ProcessOptions } from "../crash/fleet.ts";
import { until } from "@assured-jobs/core/testing";

/** Time for a test on a busy machine. */
export const PATIENT = { timeout: 180_000 } as const;

/** The proportions of the defaults, a fifth of their lease; the grace is theirs. */
export const STEADY = {
  heartbeatInterval: 3_000,
  heartbeatTtl: 9_000,
  presenceGrace: 1_000,
  lookInterval: 100,
  recoveryInterval: 250,
} as const;

/** The lock lapses during every break of two seconds. BullMQ waits `runRetryDelay` when a break cost it a fetch. */
export const LOCK = { lockDuration: 2_000, stalledInterval: 2_000, runRetryDelay: 300, drainDelay: 1 } as const;

/** A process and its path. */
export interface Traveller {
  readonly member: Member;
  readonly path: ProxyHandle;
}

export class Scene {
  readonly fleet: Fleet;
  readonly witness: Member;
  readonly #cleanup: Cleanup;
  readonly #options: ProcessOptions;

  private constructor(fleet: Fleet, witness: Member, cleanup: Cleanup, options: ProcessOptions) {
    this.fleet = fleet;
    this.witness = witness;
    this.#cleanup = cleanup;
    this.#options = options;
  }

  /** Ends with the test whose hook is given: these run side by side. */
  static async open(
    onTestFinished: TestContext["onTestFinished"],
    { assurance = STEADY, worker = {} }: ProcessOptions = {},
  ): Promise<Scene> {
    const cleanup: Cleanup = (undo) => onTestFinished(undo);
    const fleet = await openFleet(undefined, { cleanup });
    const witness = await fleet.spawn({ assurance, worker: null });
    await witness.heard("duty.taken");
    return new Scene(fleet, witness, cleanup, { assurance, worker: { ...LOCK, concurrency: 10, ...worker } });
  }

  async path(): Promise<ProxyHandle> {
    const path = await startProxy({ target: this.fleet.redis.port });
    this.#cleanup(() => path.stop());
    return path;
  }

  /** A worker on `path`, or on one of its own. */
  async travel(path?: ProxyHandle, options: ProcessOptions = {}): Promise<Traveller> {
    const own = path ?? (await this.path());
    return { path: own, member: await this.fleet.spawn({ ...this.#options, ...options, url: own.url }) };
  }

  /** A worker whose path does not break. */
  helper(): Promise<Member> {
    return this.fleet.spawn(this.#options);
  }

  /** So many jobs at work, each until its process is asked to end it. */
  async atWork(count: number): Promise<string[]> {
    const ids: string[] = [];
    for (let n = 0; n < count; n++) ids.push(await this.fleet.add({ task: "asked" }));
    for (const id of ids) await this.fleet.started(id, 1);
    return ids;
  }

  /** The handlers of these jobs return, in whatever process they run. */
  async end(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.fleet.starts(id)[0]!.process.ask("end", id);
  }

  /** Names of the processes that ran the job, the first one first. */
  ranIn(id: string): string[] {
    return this.fleet.starts(id).map(({ process }) => process.name);
  }

  /** Nobody was given up, and each job ran once. */
  async nothingHappened(ids: readonly string[]): Promise<void> {
    await this.ended(ids);
    expect((await this.#declared()).map(({ who, evidence }) => `${who}: ${evidence}`)).toEqual([]);
    expect(ids.filter((id) => this.ranIn(id).length !== 1)).toEqual([]);
    expect(this.heard("instance.fenced", "run.fenced")).toEqual([]);
  }

  /** Each job has ended, accepted once, and was given back once for each time that its holder was given up. */
  async ended(ids: readonly string[], timeout = 60_000): Promise<void> {
    const { fleet } = this;
    const states = (): Promise<(string | undefined)[]> =>
      Promise.all(ids.map(async (id) => (await fleet.queue.getJob(id))?.getState()));
    await until("every job has ended", async () => (await states()).every((state) => state === "completed"), timeout);
    const accepted = await fleet.accepted();
    expect(ids.filter((id) => accepted.get(id) !== 1)).toEqual([]);
    await until("all cases are closed", async () => (await fleet.store.ledger.counts()).pending === 0);
    const { items } = await fleet.store.ledger.history("recoveries", { limit: 10_000 });
    const given = items.filter(({ type }) => type === "orphan.recovered").map(({ job, run }) => `${job} ${run}`);
    expect(new Set(given).size, "a run was given back twice").toBe(given.length);
    expect(this.heard("beside-itself")).toEqual([]);
  }

  /** Who told something of these types, and about which job. */
  heard(...types: string[]): string[] {
    const told = this.fleet.log.filter(({ type }) => types.includes(type));
    return told.map(({ process, type, id }) => `${process.name} ${type} ${id ?? ""}`);
  }

  /** Who was given up was told so, is born again and works; nobody else was given up. */
  async healed(members: readonly Member[]): Promise<void> {
    const deaths = await this.deaths();
    for (const member of members) {
      const of = deaths.filter((who) => who.startsWith(`${member.name}.`));
      await until(`${member.name} is born again`, () => member.all("instance.reborn").length === of.length, 30_000);
      expect(member.all("instance.fenced")).toHaveLength(of.length);
    }
    await Promise.all(members.map((member) => this.works(member)));
  }

  /** There is more to do than the others can take. */
  async works(member: Member): Promise<void> {
    const before = member.all("completed").length;
    await until(
      `${member.name} ends a job`,
      async () => {
        if ((await this.fleet.queue.getWaitingCount()) < 50) {
          await this.fleet.queue.addBulk(Array.from({ length: 50 }, () => ({ name: "job", data: { ms: 20 } })));
        }
        return member.all("completed").length > before;
      },
      60_000,
    );
  }

  /** Incarnations that were declared dead. */
  async deaths(): Promise<string[]> {
    return (await this.#declared()).map(({ who }) => who);
  }

  async #declared(): Promise<RecordedEvent[]> {
    const { items } = await this.fleet.store.ledger.history("deaths", { limit: 10_000 });
    return items.filter(({ type }) => type === "instance.dead");
  }
}
