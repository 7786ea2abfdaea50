/* The scene of a store test: two processes' handles on the same records, and a watcher that looks.
 *
 * No test depends on how fast the machine is. One pass moves observed time by at most twice INTERVAL, which is less
 * than TTL: so what has just beaten cannot have lapsed by the next pass, and what is to happen is waited for.
 */
import assert from "node:assert/strict";
import { newIncarnation, PROTOCOL } from "../../instance.ts";
import type { Incarnation, Registration } from "../../instance.ts";
import type { Claim, DeathCause, HistoryEvent, HistoryKind, Look, Orphan, RecordedEvent, Store } from "../../store.ts";
import { promise } from "../runner.ts";
import type { SuiteTest } from "../runner.ts";
import type { Presence, StoreHarness } from "./harness.ts";

export const INTERVAL = 100;
export const TTL = 300;
export const GRACE = 100;
/** Longer than any test. */
export const LONG = 600_000;
const WATCH = "watch";
export const QUEUE = "memory:payments";

const DEADLINE = 20_000;

export class Scene {
  readonly harness: StoreHarness;
  /** Two processes. */
  readonly store: Store;
  readonly other: Store;
  readonly #watcher: Registration;
  readonly #presences = new Map<Incarnation, Presence>();

  constructor(harness: StoreHarness, stores: readonly [Store, Store], watcher: Registration) {
    this.harness = harness;
    [this.store, this.other] = stores;
    this.#watcher = watcher;
  }

  /** Registers an incarnation that never lapses or vanishes by itself, unless told otherwise. */
  async join(change: Partial<Registration> = {}): Promise<Registration> {
    const registration = registrationOf(change);
    const { fenced } = await this.store.roster.register(registration);
    assert.equal(fenced, false);
    return registration;
  }

  /** Registers one that is present, and seen so by a look. */
  async joinPresent(change: Partial<Registration> = {}): Promise<Registration> {
    const registration = await this.join(change);
    await this.appear(registration);
    await this.look();
    return registration;
  }

  /** Opens the subscription of an incarnation. */
  async appear({ incarnation }: Registration): Promise<void> {
    this.#presences.set(incarnation, await this.harness.presence(this.store, incarnation));
  }

  /** Closes it again. */
  async vanish({ incarnation }: Registration): Promise<void> {
    await this.#presences.get(incarnation)?.close();
  }

  /** A look of the watcher, at once. */
  async look(): Promise<Look> {
    const look = await this.store.roster.look({
      by: this.#watcher.incarnation,
      duties: [WATCH],
      dutyTtl: LONG,
      interval: INTERVAL,
    });
    assert.deepEqual(look.held, [WATCH]);
    return look;
  }

  /** Some time passes, and the watcher looks. */
  async pass(): Promise<Look> {
    await this.harness.advance(INTERVAL);
    return this.look();
  }

  /** Passes until observed time has moved by `ms`; before each of them `each` happens, after it `check` must hold. */
  async watchFor(
    ms: number,
    check: (look: Look) => void,
    each: () => Promise<unknown> = async () => {},
  ): Promise<void> {
    const end = (await this.look()).observed + ms;
    for (let look = await this.look(); look.observed < end;) {
      await each();
      look = await this.pass();
      check(look);
    }
  }

  /** Passes until `condition` holds. */
  async until(condition: (look: Look) => boolean, what: string): Promise<Look> {
    const end = Date.now() + DEADLINE;
    for (;;) {
      const look = await this.pass();
      if (condition(look)) return look;
      assert.ok(Date.now() < end, `still waiting after ${DEADLINE} ms: ${what}`);
    }
  }

  untilSuspected({ incarnation }: Registration, cause: DeathCause): Promise<Look> {
    return this.until((look) => causeOf(look, incarnation) === cause, `${incarnation} is suspected: ${cause}`);
  }

  /** Declares one dead that needs no evidence for it. */
  async die(registration: Registration): Promise<void> {
    const death = await this.store.roster.declare({ incarnation: registration.incarnation, cause: "left" });
    assert.ok(death, "declared dead");
  }

  async beat({ incarnation, ttl, interval }: Registration, blockedFor = 0): Promise<string> {
    return this.other.roster.beat({ incarnation, ttl, interval, blockedFor });
  }

  async history(kind: HistoryKind): Promise<RecordedEvent[]> {
    const { items } = await this.other.ledger.history(kind, { limit: 1_000 });
    return [...items];
  }

  restart(options: { readonly wipe: boolean }): Promise<void> {
    const restarted = this.harness.restart?.(options);
    assert.ok(restarted, "the harness has no restart(): give it one, or skip this test with a reason");
    return restarted;
  }

  outage(): Promise<{ end(): Promise<void> }> {
    const outage = this.harness.outage?.();
    assert.ok(outage, "the harness has no outage(): give it one, or skip this test with a reason");
    return outage;
  }
}

/** Opens a harness with two handles and a watcher, runs one test in it, and closes everything. */
export async function inScene(open: () => Promise<StoreHarness>, body: (scene: Scene) => Promise<void>): Promise<void> {
  const harness = await open();
  const stores: [Store, Store] = [await harness.store(), await harness.store()];
  try {
    for (const store of stores) await store.open();
    const watcher = registrationOf({ name: "watcher" });
    await stores[0].roster.register(watcher);
    const scene = new Scene(harness, stores, watcher);
    await scene.look();
    await body(scene);
  } finally {
    for (const store of stores) await store.close();
    await harness.close();
  }
}

/** A test in a scene. */
export function inStore(name: string, body: (scene: Scene) => Promise<void>): SuiteTest<Scene> {
  return promise(name, body);
}

export function registrationOf(change: Partial<Registration> = {}): Registration {
  const name = change.name ?? "worker";
  return {
    incarnation: newIncarnation(name),
    name,
    host: "host",
    pid: 1,
    startedAt: Date.now(),
    protocol: PROTOCOL,
    ttl: LONG,
    interval: LONG,
    grace: LONG,
    pulse: "thread",
    holders: { [QUEUE]: ["holder"] },
    ...change,
  };
}

export function causeOf(look: Look, incarnation: Incarnation): DeathCause | undefined {
  return look.suspects.find((suspect) => suspect.incarnation === incarnation)?.cause;
}

export function orphanOf(holder: Incarnation, change: Partial<Orphan> = {}): Orphan {
  return { queue: QUEUE, id: "1", run: 1, holder, proof: "proof", name: "pay", ...change };
}

export function claimOf(change: Partial<Claim> = {}): Claim {
  return { queue: QUEUE, id: "1", run: 1, proof: "proof", since: 1, name: "pay", ...change };
}

export function eventOf(change: Partial<HistoryEvent> = {}): HistoryEvent {
  return { type: "orphan.recovered", who: "somebody", queue: QUEUE, job: "1", run: 1, ...change };
}
