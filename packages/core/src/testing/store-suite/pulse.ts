/* The pulse and the connection: what a process hears of its own life. These tests run in real time. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { AssuranceError } from "../../errors.ts";
import type { Registration } from "../../instance.ts";
import type { Look, Pulse, PulseListener, Store } from "../../store.ts";
import type { SuiteTest } from "../runner.ts";
import { causeOf, claimOf, eventOf, GRACE, inStore, INTERVAL, LONG, orphanOf, QUEUE, registrationOf } from "./scene.ts";
import type { Scene } from "./scene.ts";

const STEP = 50;
const DEADLINE = 20_000;

/** A process: its pulse, and what it heard, in order. */
interface Beating {
  readonly registration: Registration;
  readonly pulse: Pulse;
  readonly heard: readonly string[];
}

async function startBeating(store: Store, change: Partial<Registration> = {}): Promise<Beating> {
  const registration = registrationOf({ ttl: 10 * INTERVAL, interval: INTERVAL, grace: GRACE, ...change });
  const heard: string[] = [];
  const listener: PulseListener = {
    fenced: () => void heard.push("fenced"),
    nudged: () => void heard.push("nudged"),
    connection: (up) => void heard.push(up ? "up" : "down"),
    warn: () => {},
  };
  return { registration, pulse: await store.pulse(registration, listener), heard };
}

/* Real time passes here, since beats come by real timers. */
async function soon(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + DEADLINE; !(await condition()); await sleep(STEP)) {
    assert.ok(Date.now() < end, `still waiting after ${DEADLINE} ms: ${what}`);
  }
}

const becomesPresent = ({ pulse }: Beating): Promise<void> => soon(() => pulse.present, "the pulse is present");

async function lookFor(scene: Scene, observed: number, check: (look: Look) => void): Promise<void> {
  const end = (await scene.look()).observed + observed;
  await soon(async () => {
    const look = await scene.look();
    check(look);
    return look.observed >= end;
  }, "observed time passes");
}

const pulses: readonly SuiteTest<Scene>[] = [
  inStore("a pulse keeps its incarnation registered, present and alive", async (scene) => {
    const before = Date.now();
    const beating = await startBeating(scene.other);
    await becomesPresent(beating);
    const { incarnation, ttl } = beating.registration;
    await lookFor(scene, 2 * ttl, (look) => assert.equal(causeOf(look, incarnation), undefined));
    assert.ok((beating.pulse.lastBeat ?? 0) >= before);
    await beating.pulse.stop();
  }),
  inStore("a pulse that is ready was seen present: its death is noticed without any look before", async (scene) => {
    const beating = await startBeating(scene.other);
    await beating.pulse.ready;
    assert.equal(beating.pulse.present, true);
    await beating.pulse.stop();
    await scene.untilSuspected(beating.registration, "absent");
  }),
  inStore("a pulse that stops is absent, and silent", async (scene) => {
    const beating = await startBeating(scene.other);
    await becomesPresent(beating);
    await scene.look();
    await beating.pulse.stop();
    await beating.pulse.stop();
    assert.equal(beating.pulse.present, false);
    await scene.untilSuspected(beating.registration, "absent");
    assert.deepEqual(beating.heard, ["up"]);
  }),
  inStore("a pulse that is declared dead hears it at once, and once", async (scene) => {
    const beating = await startBeating(scene.other);
    await becomesPresent(beating);
    await scene.die(beating.registration);
    await soon(() => beating.heard.includes("fenced"), "it hears that it is fenced");
    await sleep(4 * INTERVAL); // beats that would tell it again
    assert.deepEqual(beating.heard, ["up", "fenced"]);
    await beating.pulse.stop();
  }),
  inStore("a pulse of an incarnation with a tombstone is fenced from its first beat", async (scene) => {
    const registration = await scene.join();
    await scene.die(registration);
    const beating = await startBeating(scene.other, registration);
    await soon(() => beating.heard.includes("fenced"), "it hears that it is fenced");
    await beating.pulse.stop();
  }),
  inStore("a death nudges every other pulse that is present", async (scene) => {
    const beating = [await startBeating(scene.store), await startBeating(scene.other)];
    for (const one of beating) await becomesPresent(one);
    await scene.die(await scene.join());
    await soon(() => beating.every(({ heard }) => heard.includes("nudged")), "all are nudged");
    for (const { pulse, heard } of beating) {
      assert.ok(!heard.includes("fenced"));
      await pulse.stop();
    }
  }),
  inStore("a pulse registers what its process updates", async (scene) => {
    const beating = await startBeating(scene.other);
    const renewed = { ...beating.registration, holders: { [QUEUE]: ["a", "b"] } };
    await beating.pulse.update(renewed);
    const { items } = await scene.store.roster.instances({ limit: 1_000 });
    assert.deepEqual(
      items.find((item) => item.registration.incarnation === renewed.incarnation)?.registration,
      renewed,
    );
    await beating.pulse.stop();
  }),
  inStore("a pulse registers again by itself when the server lost its records", async (scene) => {
    const beating = await startBeating(scene.other);
    await becomesPresent(beating);
    await scene.restart({ wipe: true });
    const { incarnation } = beating.registration;
    const isRegistered = async (): Promise<boolean> => {
      const { items } = await scene.store.roster.instances({ limit: 1_000 });
      return items.some(({ registration }) => registration.incarnation === incarnation);
    };
    await soon(isRegistered, "it is registered again");
    await becomesPresent(beating);
    assert.ok(!beating.heard.includes("fenced"));
    await beating.pulse.stop();
  }),
  inStore("a pulse tells when the path breaks and when it comes back, and lives through it", async (scene) => {
    const beating = await startBeating(scene.other);
    await becomesPresent(beating);
    const outage = await scene.outage();
    await soon(() => beating.heard.includes("down"), "it hears that the path broke");
    await outage.end();
    await soon(() => beating.heard.at(-1) === "up", "it hears that the path is back");
    await becomesPresent(beating);
    assert.deepEqual(beating.heard, ["up", "down", "up"]);
    await beating.pulse.stop();
  }),
];

/** A call of every method that touches records. */
function callsOf({ roster, casebook, ledger }: Store): (() => Promise<unknown>)[] {
  const registration = registrationOf();
  const { incarnation } = registration;
  const orphan = orphanOf(incarnation);
  const page = { limit: 10 };
  return [
    () => roster.register(registration),
    () => roster.beat({ incarnation, ttl: 1, interval: 1, blockedFor: 0 }),
    () => roster.leave(incarnation),
    () => roster.retire(incarnation),
    () => roster.look({ by: incarnation, duties: [], dutyTtl: 1, interval: 1 }),
    () => roster.yieldDuties(incarnation, ["a"]),
    () => roster.declare({ incarnation, cause: "left" }),
    () => roster.dead(),
    () => roster.forget(incarnation),
    () => roster.instances(page),
    () => casebook.open([{ orphan, charged: true }], LONG),
    () => casebook.pending(QUEUE),
    () => casebook.settle([{ orphan, outcome: "requeued", event: eventOf() }]),
    () => casebook.deaths(QUEUE, "1", LONG),
    () => casebook.pardon(QUEUE, "1"),
    () => casebook.survey(QUEUE, incarnation),
    () => casebook.company(incarnation),
    () => casebook.admit(QUEUE, "1", []),
    () => casebook.dismiss(QUEUE, "1"),
    () => casebook.suspects(QUEUE),
    () => ledger.claim(incarnation, { add: [claimOf()], remove: [] }),
    () => ledger.claimsOf(incarnation),
    () => ledger.claims(page),
    () => ledger.record("actions", eventOf()),
    () => ledger.history("actions", page),
    () => ledger.quarantine({ queue: QUEUE, id: "1", run: 1, deaths: 1, holder: incarnation, reason: "test" }),
    () => ledger.unquarantine(QUEUE, "1"),
    () => ledger.quarantined(page),
    () => ledger.findQuarantined(QUEUE, "1"),
    () => ledger.counts(),
  ];
}

const isUnreachable = (error: unknown): boolean =>
  error instanceof AssuranceError && error.code === "ERR_STORE_UNREACHABLE";

const connections: readonly SuiteTest<Scene>[] = [
  inStore("while the store is out of reach every method rejects, and nothing is written later", async (scene) => {
    const before = await scene.other.ledger.counts();
    const outage = await scene.outage();
    await Promise.all(callsOf(scene.store).map((call) => assert.rejects(call, isUnreachable, call.toString())));
    await outage.end();
    await soon(
      () =>
        scene.look().then(
          () => true,
          () => false,
        ),
      "the store answers again",
    );
    await sleep(4 * STEP);
    assert.deepEqual(await scene.other.ledger.counts(), before);
    assert.deepEqual(await scene.history("actions"), []);
  }),
  inStore("a store may be closed before it is opened, and twice", async (scene) => {
    const unopened = await scene.harness.store();
    await unopened.close();
    await unopened.close();
    await scene.store.close();
    await scene.store.close();
    assert.equal((await scene.other.ledger.counts()).instances, 1);
  }),
  inStore("open() tells what the server is", async (scene) => {
    const store = await scene.harness.store();
    const { server, warnings } = await store.open();
    assert.ok(server.length > 0);
    assert.ok(warnings.every((warning) => warning.length > 0));
    await store.close();
  }),
];

export const pulseTests: readonly SuiteTest<Scene>[] = [...pulses, ...connections];
