import { describe, expect, test } from "vitest";
import { delayOf, judge } from "../src/crash-budget.ts";
import type { ChargedCase } from "../src/crash-budget.ts";
import { memoryAdapter, memoryQueue, memoryServer, memoryStore } from "../src/testing/index.ts";
import { Events } from "../src/events.ts";
import { Recoverer } from "../src/recoverer.ts";
import { readSettings } from "../src/options.ts";
import type { Death } from "../src/store.ts";

const MAX = 3;

const caseOf = (deaths: number, change: Partial<ChargedCase> & { id?: string; holder?: string } = {}): ChargedCase => {
  const { id = "1", holder = "dead", charged = true, again = false } = change;
  const orphan = { queue: "memory:jobs", id, run: deaths, holder, proof: "" };
  return { orphan, deaths, openedAt: 0, charged, again };
};

describe("the verdict", () => {
  test.each([
    ["a first death proves nothing", [caseOf(1)], ["requeue"]],
    ["from the second on it is a suspect", [caseOf(2)], ["suspect"]],
    ["the last that is allowed", [caseOf(MAX)], ["suspect"]],
    ["one more than is allowed, alone", [caseOf(MAX + 1)], ["bury"]],
    [
      "one more, beside jobs that died for the first time",
      [caseOf(MAX + 1), caseOf(1, { id: "2" })],
      ["bury", "requeue"],
    ],
    ["one more, beside another suspect", [caseOf(MAX + 1), caseOf(2, { id: "2" })], ["suspect", "suspect"]],
    ["two that are over, together", [caseOf(4), caseOf(4, { id: "2" })], ["suspect", "suspect"]],
    ["two that are over, in two processes", [caseOf(4), caseOf(4, { id: "2", holder: "other" })], ["bury", "bury"]],
    ["one that is over, in a process that was leaving", [caseOf(MAX + 1, { charged: false })], ["requeue"]],
    [
      "one that is over, beside one that is not charged",
      [caseOf(MAX + 1), caseOf(9, { id: "2", charged: false })],
      ["bury", "requeue"],
    ],
    ["nobody", [], []],
  ] as const)("%s: %#", (_name, cases, kinds) => {
    expect(judge(cases, MAX).map(({ kind }) => kind)).toEqual(kinds);
  });

  test.each([
    ["the other one is out", { again: true, out: "2" }, "suspect"],
    ["it is the one that is out", { again: true, out: "1" }, "bury"],
    ["nobody is out", { again: true, out: undefined }, "bury"],
    ["its case was not open before, so nobody went back already", { again: false, out: "2" }, "bury"],
  ] as const)("on one that is over and whose case was left open: %s", (_name, { again, out }, kind) => {
    expect(judge([caseOf(MAX + 1, { again })], MAX, out)[0]?.kind).toBe(kind);
  });

  test("says in words why a job is buried", () => {
    expect(judge([caseOf(4)], MAX)).toEqual([
      { kind: "bury", reason: "its process died 4 times while it ran; 3 are allowed" },
    ]);
  });

  test.each([
    [2, 1_000],
    [3, 2_000],
    [4, 4_000],
    [6, 16_000],
    [7, 30_000],
    [5_000, 30_000],
  ])("a suspect waits after death %d for %d ms", (deaths, delay) => {
    expect(delayOf(deaths)).toBe(delay);
  });
});

describe("a poison pill among innocents", () => {
  const settings = readSettings({ name: "judge" }, {});

  /** Processes run one after the other; each takes all that is due and, with the pill among it, dies of it. */
  async function openGenerations(inFlight: number): Promise<{
    /** Lets one process run; the clock then stands where the next job is due. */
    readonly live: () => Promise<void>;
    readonly queue: ReturnType<typeof memoryQueue>;
    readonly ids: readonly string[];
    readonly buried: string[];
    readonly deaths: () => number;
  }> {
    const queue = memoryQueue();
    const store = memoryStore({ server: memoryServer() });
    const adapter = memoryAdapter({ queue });
    const events = new Events();
    const buried: string[] = [];
    events.on("orphan.buried", ({ orphan }) => void buried.push(orphan.id));
    const recoverer = new Recoverer({ store, plugins: [], settings, events, self: () => "me" });
    const ids = Array.from({ length: inFlight }, (_, i) => queue.add("x", { id: i === 0 ? "pill" : `innocent ${i}` }));
    const stopping = new AbortController().signal;
    let deaths = 0;

    const recover = async (dead: readonly Death[]): Promise<void> =>
      void (await recoverer.pass(adapter, queue.key, { dead, stopping }));
    const live = async (): Promise<void> => {
      const holder = `process ${deaths}`;
      soonest(queue, ids);
      const held = [];
      for (let job = queue.fetch(holder); job; job = queue.fetch(holder)) held.push(job);
      if (held.some(({ id }) => id === "pill")) {
        deaths++;
        await recover([deathOf(holder, queue.key)]);
      } else {
        for (const job of held) queue.end(job);
        await recover([]);
      }
    };
    return { live, queue, ids, buried, deaths: () => deaths };
  }

  const deathOf = (incarnation: string, queue: string): Death => ({
    registration: {
      incarnation,
      name: incarnation,
      host: "h",
      pid: 1,
      startedAt: 0,
      protocol: 1,
      ttl: 1,
      interval: 1,
      grace: 1,
      pulse: "main",
      holders: { [queue]: [incarnation] },
    },
    cause: "absent",
    evidence: "",
    observed: 0,
    at: 0,
    leaving: false,
  });

  /* Time passes until something is due: then all that is due at that moment is. */
  function soonest(queue: ReturnType<typeof memoryQueue>, ids: readonly string[]): void {
    const waiting = ids.map((id) => queue.get(id)).filter((job) => job?.state === "waiting");
    const next = Math.min(...waiting.map((job) => job!.dueAt));
    for (const job of waiting) if (job!.dueAt <= Math.max(next, Date.now())) queue.promote(job!.id);
  }

  test.each(Array.from({ length: 50 }, (_, i) => i + 1))(
    "is buried at its fourth death, and no innocent ever is, with %d in flight",
    async (inFlight) => {
      const { live, queue, ids, buried, deaths } = await openGenerations(inFlight);
      const isOver = (id: string): boolean => ["finished", "buried"].includes(queue.get(id)!.state);
      for (let generation = 0; generation < 4 * inFlight + 10 && !ids.every(isOver); generation++) await live();
      expect(buried).toEqual(["pill"]);
      expect(deaths()).toBe(4);
      expect(ids.filter((id) => queue.get(id)?.state === "finished")).toEqual(ids.slice(1));
    },
  );
});
