import { describe, expect, test } from "vitest";
import type { QueueAdapter } from "../src/adapter.ts";
import type { ActionRequest } from "../src/actions.ts";
import type { Assurance } from "../src/assurance.ts";
import { memoryAdapter } from "../src/testing/index.ts";
import type { MemoryQueue } from "../src/testing/index.ts";
import { changed, openFleet } from "./support/fleet.ts";
import type { Fleet, Process } from "./support/fleet.ts";

const ACTIONS = ["retry", "discard", "release"] as const;

async function openDesk(): Promise<Fleet & { readonly process: Process; readonly assurance: Assurance }> {
  const fleet = openFleet();
  const process = await fleet.start({ role: "observer" });
  return { ...fleet, process, assurance: process.assurance };
}

/** A job in the state that the action needs. */
async function prepare({ queue, store }: Fleet, action: (typeof ACTIONS)[number]): Promise<ActionRequest> {
  const id = queue.add("x", { id: action });
  const run = queue.fetch("somebody")!;
  if (action !== "release") queue.end(run, new Error("broken"));
  else {
    queue.bury(run, "its process died 4 times");
    await store.ledger.quarantine({ queue: queue.key, id, run: 1, deaths: 4, holder: "somebody", reason: "4 deaths" });
  }
  return { queue: queue.key, id, actor: "ann", reason: "the bug is mended" };
}

const stateOf = (queue: MemoryQueue, id: string): string => queue.get(id)?.state ?? "missing";

describe("a person's action", () => {
  test.each([
    ["retry", "waiting"],
    ["discard", "missing"],
    ["release", "waiting"],
  ] as const)("%s does what it says, and is recorded: who, what, why", async (action, state) => {
    const desk = await openDesk();
    const request = await prepare(desk, action);
    await desk.assurance[action](request);
    expect(stateOf(desk.queue, request.id)).toBe(state);
    const { items } = await desk.assurance.snapshot.history("actions");
    expect(items).toMatchObject([
      {
        type: `action.${action}`,
        who: "ann",
        queue: desk.queue.key,
        job: request.id,
        detail: "the bug is mended",
        evidence: "done",
      },
    ]);
    expect(desk.process.heard("action")).toEqual([{ ...request, action, outcome: "done" }]);
  });

  test.each(ACTIONS)(
    "%s is refused when the job is not in the state that it needs, and the refusal is recorded",
    async (action) => {
      const desk = await openDesk();
      const { queue } = desk;
      queue.add("x", { id: "1" });
      queue.fetch("somebody");
      const acting = desk.assurance[action]({ queue: queue.key, id: "1", actor: "ann" });
      await expect(acting).rejects.toMatchObject({ name: "AssuranceError", code: "ERR_ACTION_REFUSED" });
      expect(stateOf(queue, "1")).toBe("held");
      const { items } = await desk.assurance.snapshot.history("actions");
      expect(items).toMatchObject([{ type: `action.${action}`, who: "ann", job: "1", detail: "" }]);
      expect(items[0]?.evidence).toMatch(/^refused: /);
      expect(desk.process.heard("action")).toMatchObject([{ action, outcome: items[0]?.evidence }]);
    },
  );

  test.each(ACTIONS)("%s needs an actor: nothing is done and nothing recorded without", async (action) => {
    const desk = await openDesk();
    const request = await prepare(desk, action);
    const before = stateOf(desk.queue, request.id);
    for (const actor of ["", undefined, 7]) {
      await expect(desk.assurance[action]({ ...request, actor } as ActionRequest)).rejects.toMatchObject({
        code: "ERR_OPTION",
        message: expect.stringMatching(/^actor: expected who acts/) as string,
      });
    }
    expect(stateOf(desk.queue, request.id)).toBe(before);
    expect((await desk.assurance.snapshot.history("actions")).items).toEqual([]);
  });

  test.each(ACTIONS)(
    "%s on a queue that this process does not serve is refused, with those that it serves",
    async (action) => {
      const { assurance, queue } = await openDesk();
      const acting = assurance[action]({ queue: "memory:other", id: "1", actor: "ann" });
      await expect(acting).rejects.toMatchObject({
        code: "ERR_OPTION",
        message: `queue: expected a queue of this process (${queue.key}), got "memory:other"`,
      });
    },
  );

  test("can be done once: of two persons who release the same job one is told that it is no longer there", async () => {
    const desk = await openDesk();
    const request = await prepare(desk, "release");
    const results = await Promise.allSettled([
      desk.assurance.release(request),
      desk.assurance.release({ ...request, actor: "bob" }),
    ]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(stateOf(desk.queue, request.id)).toBe("waiting");
    expect((await desk.assurance.snapshot.history("actions")).items).toHaveLength(2);
  });

  test("discarding a buried job takes it out of quarantine too", async () => {
    const desk = await openDesk();
    const request = await prepare(desk, "release");
    await desk.assurance.discard(request);
    expect(stateOf(desk.queue, request.id)).toBe("missing");
    expect((await desk.assurance.snapshot.quarantine()).items).toEqual([]);
  });

  test("that the queue refuses leaves the job in quarantine", async () => {
    const fleet = openFleet();
    const release = (): Promise<never> => Promise.reject(new Error("no answer"));
    const adapter = changed<QueueAdapter>(memoryAdapter({ queue: fleet.queue }), { release });
    const { assurance } = await fleet.start({ role: "observer", adapters: [adapter] });
    const request = await prepare(fleet, "release");
    await expect(assurance.release(request)).rejects.toThrow("no answer");
    expect((await assurance.snapshot.quarantine()).items).toHaveLength(1);
    expect((await assurance.snapshot.history("actions")).items).toMatchObject([{ evidence: "refused: no answer" }]);
  });
});
