/* Presence: what an absence proves, and what it does not. */
import assert from "node:assert/strict";
import { PROTOCOL } from "../../instance.ts";
import type { Registration } from "../../instance.ts";
import type { Look } from "../../store.ts";
import type { SuiteTest } from "../runner.ts";
import { causeOf, GRACE, inStore, INTERVAL, TTL } from "./scene.ts";
import type { Scene } from "./scene.ts";

const unsuspected =
  ({ incarnation }: Registration) =>
  (look: Look): void =>
    assert.equal(causeOf(look, incarnation), undefined);

const signsOfLife = (["beat", "registration"] as const).map((sign) =>
  inStore(`a ${sign} ends an absence: it lives, however its subscription fares`, async (scene) => {
    const living = await scene.joinPresent({ grace: GRACE });
    await scene.vanish(living);
    const live = (): Promise<unknown> => (sign === "beat" ? scene.beat(living) : scene.other.roster.register(living));
    await scene.watchFor(5 * GRACE, unsuspected(living), live);
    await scene.untilSuspected(living, "absent"); // and once it is silent, it is remembered that it was present
  }),
);

interface Crowd {
  readonly present: number;
  readonly vanished: number;
  readonly distrusted: boolean;
}

const CROWDS: readonly Crowd[] = [
  { present: 2, vanished: 2, distrusted: false },
  { present: 6, vanished: 3, distrusted: false },
  { present: 5, vanished: 3, distrusted: true },
  { present: 3, vanished: 3, distrusted: true },
];

/** The first of so many that are present vanish. */
async function crowd(
  scene: Scene,
  { present, vanished }: Crowd,
  change: Partial<Registration> = {},
): Promise<Registration[]> {
  const all = [];
  for (let i = 0; i < present; i++) all.push(await scene.joinPresent({ name: `worker-${i}`, grace: GRACE, ...change }));
  const gone = all.slice(0, vanished);
  for (const one of gone) await scene.vanish(one);
  return gone;
}

const crowds = CROWDS.map((some) =>
  inStore(
    `${some.vanished} of ${some.present} vanish together: ${some.distrusted ? "nobody is dead" : "they are dead"}`,
    async (scene) => {
      const gone = await crowd(scene, some);
      if (!some.distrusted) {
        await scene.until((look) => look.suspects.length === some.vanished, "all that vanished are suspected");
        return;
      }
      await scene.until((look) => look.distrusted, "absence is distrusted");
      await scene.watchFor(4 * GRACE, ({ suspects, distrusted }) =>
        assert.deepEqual([suspects, distrusted], [[], true]),
      );
      const { incarnation } = gone[0]!;
      assert.equal(await scene.other.roster.declare({ incarnation, cause: "absent" }), undefined);
    },
  ),
);

export const presenceTests: readonly SuiteTest<Scene>[] = [
  inStore("one that was seen present and is not any more is absent after its grace", async (scene) => {
    const gone = await scene.joinPresent({ grace: 3 * GRACE });
    await scene.vanish(gone);
    const before = await scene.look();
    const look = await scene.untilSuspected(gone, "absent");
    assert.ok(look.observed - before.observed >= GRACE);
    assert.equal(
      (await scene.other.roster.declare({ incarnation: gone.incarnation, cause: "absent" }))?.cause,
      "absent",
    );
  }),
  inStore("an absence shorter than the grace is nobody's death", async (scene) => {
    const gone = await scene.joinPresent();
    await scene.vanish(gone);
    await scene.watchFor(5 * GRACE, unsuspected(gone));
    assert.equal(await scene.other.roster.declare({ incarnation: gone.incarnation, cause: "absent" }), undefined);
  }),
  inStore("one look is no absence: it takes two at least", async (scene) => {
    const gone = await scene.joinPresent({ grace: 0 });
    await scene.vanish(gone);
    unsuspected(gone)(await scene.look());
    await scene.untilSuspected(gone, "absent");
  }),
  inStore("one that was never seen present cannot be absent", async (scene) => {
    const unseen = await scene.join({ grace: 0 });
    await scene.appear(unseen);
    await scene.vanish(unseen); // nobody looked meanwhile
    await scene.watchFor(5 * GRACE, unsuspected(unseen));
  }),
  inStore("one that registers while it is present needs no look to be seen", async (scene) => {
    const brief = await scene.join({ grace: 0 });
    await scene.appear(brief);
    await scene.other.roster.register(brief);
    await scene.vanish(brief);
    await scene.untilSuspected(brief, "absent");
  }),
  ...signsOfLife,
  inStore("a subscription that comes back ends the absence, and stops a declaration", async (scene) => {
    const back = await scene.joinPresent({ grace: GRACE });
    await scene.vanish(back);
    await scene.untilSuspected(back, "absent");
    await scene.appear(back);
    assert.equal(await scene.other.roster.declare({ incarnation: back.incarnation, cause: "absent" }), undefined);
    await scene.watchFor(3 * GRACE, unsuspected(back));
  }),
  inStore("absence proves nothing about an incarnation of an unknown protocol", async (scene) => {
    const foreign = await scene.joinPresent({ protocol: PROTOCOL + 1, grace: 0 });
    await scene.vanish(foreign);
    await scene.watchFor(5 * GRACE, unsuspected(foreign));
  }),
  inStore(
    "the absent predecessor of a new incarnation of its name is dead without waiting for its grace",
    async (scene) => {
      const old = await scene.joinPresent();
      await scene.join();
      await scene.vanish(old);
      await scene.untilSuspected(old, "replaced");
      assert.equal(
        (await scene.other.roster.declare({ incarnation: old.incarnation, cause: "replaced" }))?.cause,
        "replaced",
      );
    },
  ),
  inStore("a predecessor that is present is never replaced", async (scene) => {
    const old = await scene.joinPresent();
    await scene.joinPresent();
    await scene.watchFor(5 * GRACE, unsuspected(old));
    assert.equal(await scene.other.roster.declare({ incarnation: old.incarnation, cause: "replaced" }), undefined);
  }),
  inStore("an older incarnation replaces nobody, however late it registers again", async (scene) => {
    const old = await scene.joinPresent();
    const newer = await scene.joinPresent();
    await scene.other.roster.register(old);
    await scene.vanish(newer);
    await scene.watchFor(5 * GRACE, unsuspected(newer));
  }),
  inStore("registering tells of the siblings of the same name that are present now", async (scene) => {
    const present = await scene.joinPresent({ name: "pod" });
    const silent = await scene.join({ name: "pod" });
    await scene.joinPresent({ name: "another" });
    assert.deepEqual((await scene.other.roster.register(silent)).siblings, [present.incarnation]);
    assert.deepEqual((await scene.other.roster.register(present)).siblings, []);
  }),
  ...crowds,
  inStore("distrust ends when enough of them came back", async (scene) => {
    const [back] = await crowd(scene, { present: 3, vanished: 3, distrusted: true });
    await scene.until((look) => look.distrusted, "absence is distrusted");
    await scene.appear(back!);
    const look = await scene.until(({ suspects }) => suspects.length === 2, "the others are suspected");
    assert.equal(look.distrusted, false);
    unsuspected(back!)(look);
  }),
  inStore("who comes back last from a broken path is not absent for as long as the path was broken", async (scene) => {
    const some = { present: 3, vanished: 3, distrusted: true };
    const [last, ...others] = await crowd(scene, some, { grace: 5 * GRACE });
    await scene.until((look) => look.distrusted, "absence is distrusted");
    await scene.watchFor(8 * GRACE, ({ distrusted }) => assert.equal(distrusted, true));
    for (const one of others) await scene.appear(one);
    await scene.watchFor(2 * GRACE, unsuspected(last!));
    assert.equal(await scene.other.roster.declare({ incarnation: last!.incarnation, cause: "absent" }), undefined);
    await scene.untilSuspected(last!, "absent");
  }),
  inStore("who comes back one look after the others is not dead, however long a look lasts", async (scene) => {
    const [last, ...others] = await crowd(scene, { present: 3, vanished: 3, distrusted: true });
    await scene.until((look) => look.distrusted, "absence is distrusted");
    for (const one of others) await scene.appear(one);
    for (const one of others) await scene.beat(one); // which ends its absence before any look
    const look = await scene.pass();
    assert.equal(look.distrusted, false);
    unsuspected(last!)(look);
    await scene.untilSuspected(last!, "absent");
  }),
  inStore("while absence is distrusted the lease still decides", async (scene) => {
    const [gone] = await crowd(scene, { present: 3, vanished: 3, distrusted: true }, { ttl: TTL + 4 * INTERVAL });
    const look = await scene.untilSuspected(gone!, "lapsed");
    assert.equal(look.distrusted, true);
  }),
  inStore("a restart of the server makes nobody absent, and ends no lease", async (scene) => {
    const living = await scene.joinPresent({ grace: 0, ttl: TTL });
    await scene.restart({ wipe: false });
    unsuspected(living)(await scene.look());
    await scene.watchFor(3 * TTL, unsuspected(living), () => scene.beat(living));
  }),
  inStore("what was seen before a restart proves no absence after it", async (scene) => {
    const gone = await scene.joinPresent({ grace: 0 });
    await scene.vanish(gone);
    await scene.untilSuspected(gone, "absent");
    await scene.restart({ wipe: false });
    assert.equal(await scene.other.roster.declare({ incarnation: gone.incarnation, cause: "absent" }), undefined);
    await scene.watchFor(5 * GRACE, unsuspected(gone));
  }),
];
