/* What happens to the store: it stops, comes back as another run, loses its records, is not looked at for long, and its
 * clock is set back. None of it may kill anybody. */
import { DUTY_TTL, forgetAll, note } from "../model.ts";
import type { Model } from "../model.ts";
import { step } from "../step.ts";
import type { Step } from "../step.ts";
import type { World } from "../world.ts";
import { passTime } from "./watch.ts";

/** The server goes away, and with it every subscription. */
export function stop(): Step {
  return step("stop()", stopServer, ({ up }) => up);
}

/** It comes back as another run, perhaps without its records. */
export function start(withoutRecords: boolean): Step {
  return step(
    `start(${withoutRecords})`,
    (model, world) => startServer(model, world, withoutRecords),
    ({ up }) => !up,
  );
}

/** Both, and nobody acts in between. */
export function restart(withoutRecords: boolean): Step {
  return step(
    `restart(${withoutRecords})`,
    async (model, world) => {
      await stopServer(model, world);
      await startServer(model, world, withoutRecords);
    },
    ({ up }) => up,
  );
}

/** All records are lost while it runs; subscriptions stay. */
export function wipe(): Step {
  return step(
    "wipe()",
    async (model, world) => {
      await world.server.wipe();
      forgetAll(model);
      note(model, "wiped");
    },
    ({ up }) => up,
  );
}

/** So much time passes that every duty lapses, and nobody looks. */
export function silence(): Step {
  return step("silence()", (model, world) => passTime(model, world, 2 * DUTY_TTL));
}

/** The server's clock is set back. */
export function stepBack(ms: number): Step {
  return step(`stepBack(${ms})`, (model, world) => passTime(model, world, -ms));
}

export async function startServer(model: Model, world: World, withoutRecords: boolean): Promise<void> {
  await world.server.start({ wipe: withoutRecords });
  model.up = true;
  if (withoutRecords) forgetAll(model);
  // What another run of the server saw proves nothing here.
  for (const member of model.members.values()) Object.assign(member, { seen: false, missed: undefined });
  note(model, withoutRecords ? "restarted without records" : "restarted");
}

async function stopServer(model: Model, world: World): Promise<void> {
  await world.server.stop();
  model.up = false;
  for (const one of model.processes) one.subscribed = false;
}
