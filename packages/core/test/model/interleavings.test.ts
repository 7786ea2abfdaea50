/* Interleavings that random plans reach too seldom, and those in which they found a defect: played every time, on the
 * memory store and on Redis, with every invariant after each step and everybody's end at last. */
import { afterAll, beforeAll, describe, test } from "vitest";
import { GRACE, INTERVAL } from "./model.ts";
import { memoryWorld } from "./memory-world.ts";
import { redisWorld } from "./redis-world.ts";
import type { RedisWorld } from "./redis-world.ts";
import { play } from "./run.ts";
import type { Step } from "./step.ts";
import { claim } from "./steps/claims.ts";
import { declare } from "./steps/deaths.ts";
import { fetch, finish } from "./steps/jobs.ts";
import { appear, beat, boot, rebirth, register, retire, vanish } from "./steps/life.ts";
import { restart, silence, start, stop, wipe } from "./steps/outages.ts";
import { bury, open, pass, release, settle } from "./steps/recovery.ts";
import { kill, look, patrol } from "./steps/watch.ts";

/* How far a pass gets. */
const READ = 1;
const OPENED = 2;
const MOVED = 3;
const SETTLED = 4;
const NOBODY = 11;

/** A process vanishes and is suspected; the watcher dies before it can declare. */
const suspected = kill(0, 3, false);
const again: Step[] = [fetch(1, false), kill(1, 4, true)];

const INTERLEAVINGS: Readonly<Record<string, readonly Step[]>> = {
  "a recoverer that slept through two deaths of a job causes no second event for the first of them": [
    kill(0, 5, true),
    pass(0, READ),
    pass(1, SETTLED),
    ...again,
    pass(1, SETTLED),
    open(0),
  ],
  "a settlement that comes late does not close the case of the next run": [
    kill(0, 5, true),
    pass(0, MOVED),
    ...again,
    pass(1, OPENED),
    settle(0, true),
    pass(1, SETTLED),
  ],
  "two recoverers at the same orphan move it once, close its case once and leave one event": [
    kill(0, 5, true),
    pass(0, OPENED),
    pass(1, MOVED),
    settle(1, true),
    pass(0, SETTLED),
  ],
  "what another run of the server saw proves nothing: a suspect of before the restart is not declared": [
    suspected,
    restart(false),
    declare(0),
  ],
  "a suspect that is present again is not declared": [suspected, appear(0), declare(0)],
  "a suspect that beat in between is not declared": [suspected, beat(0, 0), declare(0)],
  "a suspect that registered again in between is not declared": [suspected, register(0), declare(0)],
  "a dead one is refused whatever it tries, and comes back as another": [
    claim(0, "add"),
    kill(0, 5, true),
    pass(0, SETTLED),
    beat(0, 0),
    register(0),
    claim(0, "add"),
    look(0, INTERVAL),
    finish(0, false),
    rebirth(0),
    fetch(3, false),
    finish(4, false),
  ],
  "what a dead one fetches late goes back as well, and the same death counts once": [
    kill(0, 5, true),
    pass(0, SETTLED),
    fetch(0, true),
    pass(1, SETTLED),
    fetch(0, true),
    pass(0, SETTLED),
  ],
  "a finish that was faster than the recovery stands": [
    kill(0, 5, true),
    pass(0, OPENED),
    finish(0, false),
    pass(0, SETTLED),
  ],
  "to retire a dead one does not take away what helps to recover its jobs": [
    claim(0, "add"),
    kill(0, 5, true),
    finish(0, false),
    retire(0),
  ],
  "three of four vanish together and come back: nobody is dead": [
    vanish(0),
    vanish(1),
    vanish(3),
    look(2, INTERVAL),
    look(2, INTERVAL),
    look(2, INTERVAL),
    appear(0),
    appear(1),
    appear(3),
    look(2, INTERVAL),
  ],
  "a store that was down for hours lets nobody lapse": [stop(), silence(), start(false), look(2, 0), look(2, INTERVAL)],
  "a store that was emptied lets everybody register again, and nothing is lost": [
    wipe(),
    beat(0, 0),
    register(0),
    register(2),
    look(2, INTERVAL),
    kill(0, 5, true),
    pass(0, SETTLED),
  ],
  "one that speaks a foreign protocol dies by its lease only": [
    boot({ name: "blue", pulse: "thread", grace: 0, foreign: true }),
    look(2, INTERVAL),
    vanish(4),
    look(2, INTERVAL),
    look(2, INTERVAL),
    look(2, INTERVAL),
  ],
  "one that beats from its main loop and is present has four leases": [
    look(2, 2 * INTERVAL),
    look(2, 2 * INTERVAL),
    look(2, 2 * INTERVAL),
    look(2, 2 * INTERVAL),
    appear(3),
    patrol(2, 2, NOBODY, true),
  ],
  "a restart under the same name ends the waiting for one that is seen absent": [
    boot({ name: "red", pulse: "thread", grace: GRACE, foreign: false }),
    suspected,
    declare(0),
  ],
  "a buried job is released with a fresh budget, and dies again": [
    kill(0, 5, true),
    pass(0, OPENED),
    bury(0, 0),
    settle(0, false),
    release(0),
    ...again,
    pass(1, SETTLED),
  ],
};

describe("interleavings that were once wrong, or are rare", () => {
  let world: RedisWorld;
  beforeAll(async () => void (world = await redisWorld()));
  afterAll(() => world.close());

  for (const [promise, steps] of Object.entries(INTERLEAVINGS)) {
    test(`${promise} (memory store)`, () => play(memoryWorld(), steps));
    test(`${promise} (Redis)`, async () => {
      await world.renew();
      await play(world, steps);
    });
  }
});
