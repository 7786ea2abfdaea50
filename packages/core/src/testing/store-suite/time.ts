/* Observed time and the lease: who lapses, and who does not. */
import assert from "node:assert/strict";
import { PROTOCOL } from "../../instance.ts";
import type { Registration } from "../../instance.ts";
import type { SuiteTest } from "../runner.ts";
import { causeOf, inStore, INTERVAL, LONG, TTL } from "./scene.ts";
import type { Scene } from "./scene.ts";

interface Lapse {
  readonly who: string;
  readonly registration: Partial<Registration>;
  readonly present: boolean;
}

const LAPSES: readonly Lapse[] = [
  { who: "an incarnation that stops to beat", registration: { pulse: "thread" }, present: false },
  { who: "one that is present and beats from a thread", registration: { pulse: "thread" }, present: true },
  { who: "one that beats from its main loop and is not present", registration: { pulse: "main" }, present: false },
  { who: "one of an unknown protocol", registration: { protocol: PROTOCOL + 1 }, present: false },
];

const lapses = LAPSES.map(({ who, registration, present }) =>
  inStore(`${who} lapses after its lease, and not before`, async (scene) => {
    const { observed } = await scene.look();
    const lapsing = await scene.join({ ttl: TTL, ...registration });
    if (present) await scene.appear(lapsing);
    const look = await scene.untilSuspected(lapsing, "lapsed");
    assert.ok(look.observed - observed >= TTL, `suspected after ${look.observed - observed} ms`);
    assert.ok(look.observed - observed < TTL + 2 * INTERVAL, `only suspected after ${look.observed - observed} ms`);
  }),
);

const renewals = (["beats", "registers again"] as const).map((how) =>
  inStore(`an incarnation that ${how} in time never lapses`, async (scene) => {
    const living = await scene.join({ ttl: TTL });
    const renew = (): Promise<unknown> => (how === "beats" ? scene.beat(living) : scene.other.roster.register(living));
    await scene.watchFor(3 * TTL, (look) => assert.equal(causeOf(look, living.incarnation), undefined), renew);
  }),
);

async function observedWhileUnwatched(scene: Scene): Promise<number> {
  const before = await scene.look();
  await scene.harness.advance(8 * INTERVAL);
  return (await scene.look()).observed - before.observed;
}

export const timeTests: readonly SuiteTest<Scene>[] = [
  inStore("observed time advances with the looks of the watch", async (scene) => {
    const before = await scene.look();
    const after = await scene.until(
      (look) => look.observed >= before.observed + 3 * INTERVAL,
      "observed time advances",
    );
    assert.ok(after.observed > before.observed);
  }),
  inStore("one look moves observed time by at most twice its interval", async (scene) => {
    const passed = await observedWhileUnwatched(scene);
    assert.ok(passed > INTERVAL && passed <= 2 * INTERVAL, `${passed} ms`);
  }),
  inStore("time that nobody watched lets nobody lapse", async (scene) => {
    const { incarnation } = await scene.join({ ttl: TTL });
    await scene.harness.advance(2 * TTL);
    assert.equal(causeOf(await scene.look(), incarnation), undefined);
    assert.equal(await scene.other.roster.declare({ incarnation, cause: "lapsed" }), undefined);
  }),
  inStore("a look of one who is not on watch does not move observed time", async (scene) => {
    const { incarnation: by } = await scene.join();
    const before = await scene.look();
    await scene.harness.advance(INTERVAL);
    const look = await scene.other.roster.look({ by, duties: ["watch", "a"], dutyTtl: LONG, interval: INTERVAL });
    assert.deepEqual(look.held, ["a"]);
    assert.equal(look.observed, before.observed);
  }),
  ...lapses,
  ...renewals,
  inStore("the lease of the last beat counts, not that of the registration", async (scene) => {
    const living = await scene.join({ ttl: TTL });
    await scene.beat({ ...living, ttl: LONG });
    await scene.watchFor(2 * TTL, (look) => assert.equal(causeOf(look, living.incarnation), undefined));
  }),
  inStore("a missed beat makes late, and the next one ends it", async (scene) => {
    const tardy = await scene.join({ interval: INTERVAL });
    const before = await scene.look();
    const look = await scene.until(({ late }) => late.includes(tardy.incarnation), "it is late");
    assert.ok(look.observed - before.observed >= 1.5 * INTERVAL);
    assert.equal(causeOf(look, tardy.incarnation), undefined);
    assert.equal(await scene.beat({ ...tardy, interval: LONG }), "alive");
    assert.ok(!(await scene.look()).late.includes(tardy.incarnation));
  }),
  inStore("one that lapsed is a suspect, and not late any more", async (scene) => {
    const lapsing = await scene.join({ ttl: TTL, interval: INTERVAL });
    const look = await scene.untilSuspected(lapsing, "lapsed");
    assert.ok(!look.late.includes(lapsing.incarnation));
  }),
  inStore("a stuck event loop is blocked, not dead; a busy one is neither", async (scene) => {
    const living = await scene.join();
    const blockedAfter = async (blockedFor: number): Promise<boolean> => {
      await scene.beat(living, blockedFor);
      return (await scene.look()).blocked.includes(living.incarnation);
    };
    assert.equal(await blockedAfter(999), false);
    assert.equal(await blockedAfter(1_000), true);
    assert.equal(causeOf(await scene.look(), living.incarnation), undefined);
    assert.equal(await blockedAfter(0), false);
  }),
  inStore(
    "one that beats from its main loop and is present is blocked, and dead only after four leases",
    async (scene) => {
      const before = await scene.look();
      const stuck = await scene.join({ ttl: TTL, pulse: "main" });
      await scene.appear(stuck);
      const lapse = await scene.until(({ blocked }) => blocked.includes(stuck.incarnation), "it is blocked");
      assert.equal(causeOf(lapse, stuck.incarnation), undefined);
      assert.equal(await scene.other.roster.declare({ incarnation: stuck.incarnation, cause: "lapsed" }), undefined);
      const end = await scene.untilSuspected(stuck, "lapsed");
      assert.ok(end.observed - before.observed >= 4 * TTL, `suspected after ${end.observed - before.observed} ms`);
      assert.ok(!end.blocked.includes(stuck.incarnation));
    },
  ),
];
