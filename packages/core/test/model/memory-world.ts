/* The world on the memory store: its clock belongs to the model alone. */
import { memoryServer, memoryStore } from "@assured-jobs/core/testing";
import type { Subscription } from "@assured-jobs/core/testing";
import type { Incarnation } from "@assured-jobs/core";
import type { Server } from "./world.ts";

export function memoryWorld(): Server {
  const clock = { now: 1_000_000_000_000 };
  const server = memoryServer({ now: () => clock.now });
  const stores = [memoryStore({ server }), memoryStore({ server })] as const;
  const open = new Map<Incarnation, Subscription>();
  return {
    stores,
    runs: false,
    advance: async (ms) => void (clock.now += ms),
    subscribe: async (incarnation) => {
      const subscription = server.subscribe(stores[0].namespace, incarnation);
      subscription.open();
      open.set(incarnation, subscription);
    },
    unsubscribe: async (incarnation) => open.get(incarnation)?.close(),
    stop: async () => server.stop(),
    start: async ({ wipe }) => {
      if (wipe) server.wipe();
      server.start();
    },
    wipe: async () => server.wipe(),
  };
}
