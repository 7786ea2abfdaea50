/* The store and the model agree, on memory and on Redis, whatever happens in whatever order.
 *
 * A failure prints its seed, its path and the shortest list of steps that was found. FC_SEED=n (with FC_PATH=p) runs it
 * again, FC_RUNS=n runs so many plans, FC_SHOW=1 prints what they reached. Random plans that reach too little prove too
 * little, so that is a failure as well.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memoryWorld } from "./memory-world.ts";
import { LONGEST, plans } from "./plans.ts";
import type { Outages } from "./plans.ts";
import { redisWorld } from "./redis-world.ts";
import type { RedisWorld } from "./redis-world.ts";
import { runPlan } from "./run.ts";
import type { Server } from "./world.ts";

const { FC_SEED, FC_PATH, FC_RUNS, FC_SHOW } = process.env;
const TIMEOUT = 600_000;

/** What the plans must reach, and how often in a run of the whole test on memory. */
const REACHED: Readonly<Record<string, number>> = {
  "died: absent": 400,
  "died: lapsed": 3_000,
  "died: left": 50,
  "died: replaced": 600,
  "refused to beat": 5_000,
  "refused to register": 40,
  "refused to claim": 30,
  "refused to finish": 20,
  "fetched by a dead one": 50,
  rebirth: 500,
  forgotten: 5,
  distrusted: 500,
  "took over a duty": 1_500,
  "time that nobody watched": 1_000,
  "clock stepped back": 20,
  late: 5_000,
  blocked: 60,
  requeued: 2_000,
  "refused to requeue: already": 250,
  "refused to requeue: finished": 10,
  buried: 25,
  released: 2,
  settled: 2_000,
  "refused to settle": 50,
  "came too late to open": 5,
  parked: 50,
  restarted: 150,
  "restarted without records": 20,
  wiped: 50,
};
/** A server that runs sees fewer plans: what comes up often in them must come up once. */
const OFTEN = 150;

async function checkPlans(server: () => Promise<Server>, outages: Outages, runs: number): Promise<Map<string, number>> {
  const reached = new Map<string, number>();
  const property = fc.asyncProperty(plans(outages), async (plan) => runPlan(await server(), plan, reached));
  const chosen = { ...(FC_SEED ? { seed: Number(FC_SEED) } : {}), ...(FC_PATH ? { path: FC_PATH } : {}) };
  await fc.assert(property, { numRuns: FC_RUNS ? Number(FC_RUNS) : runs, ...chosen });
  // oxlint-disable-next-line no-console -- asked for
  if (FC_SHOW) console.table(Object.fromEntries(reached));
  return reached;
}

/** Unless only one plan was run, or another number of them. */
function expectReached(reached: ReadonlyMap<string, number>, least: (often: number) => number): void {
  if (FC_PATH !== undefined || FC_RUNS !== undefined) return;
  for (const [what, often] of Object.entries(REACHED))
    expect(reached.get(what) ?? 0, what).toBeGreaterThanOrEqual(least(often));
}

describe(`plans of up to ${LONGEST} steps of processes, watchers, recoverers, zombies and servers`, () => {
  test(
    "on the memory store nobody dies who lives, no zombie acts, no job is lost, nothing happens twice",
    { timeout: TIMEOUT },
    async () => {
      const reached = await checkPlans(async () => memoryWorld(), "often", 3_000);
      expectReached(reached, (often) => often);
    },
  );

  describe("on a real server", () => {
    let world: RedisWorld;
    beforeAll(async () => void (world = await redisWorld()));
    afterAll(() => world.close());

    test(
      "on Redis nobody dies who lives, no zombie acts, no job is lost, nothing happens twice",
      { timeout: TIMEOUT },
      async () => {
        const renewed = async (): Promise<Server> => {
          await world.renew();
          return world;
        };
        const reached = await checkPlans(renewed, "seldom", 200);
        expectReached(reached, (often) => (often >= OFTEN ? 1 : 0));
      },
    );
  });
});
