import { describe, expect, test } from "vitest";
import { delayOf, isComplete, judge } from "../src/crash-budget.ts";
import type { ChargedCase } from "../src/crash-budget.ts";
import { memoryAdapter, memoryQueue, memoryServer, memoryStore } from "../src/testing/index.ts";
import type { HeldJob, MemoryQueue } from "../src/testing/index.ts";
import { Events } from "../src/events.ts";
import { Recoverer } from "../src/recoverer.ts";
import type { PassReport } from "../src/recoverer.ts";
import { readSettings } from "../src/options.ts";
import type { Company, Death, Store } from "../src/store.ts";

const MAX = 3;

interface Job {
  readonly queue: MemoryQueue;
  readonly id: string;
}

const stateOf = ({ queue, id }: Job): string => queue.get(id)!.state;

const caseOf = (deaths: number, charged = true): ChargedCase => {
  const orphan = { queue: "memory:jobs", id: "1", run: deaths, holder: "dead", proof: "" };
  return { orphan, deaths, openedAt: 0, charged };
};

const companyOf = (suspects: number, ...surveyed: string[]): Company => ({ suspects, surveyed });

describe("the verdict", () => {
  test.each([
    ["a first death proves nothing", caseOf(1), companyOf(0), "requeue"],
    ["from the second on it is a suspect", caseOf(2), companyOf(1), "suspect"],
    ["the last that is allowed", caseOf(MAX), companyOf(1), "suspect"],
    ["one more than is allowed, alone", caseOf(MAX + 1), companyOf(1), "bury"],
    ["one more, beside another suspect", caseOf(MAX + 1), companyOf(2), "suspect"],
    ["one more, and nobody knows yet who else was there", caseOf(MAX + 1), "unknown", "wait"],
    ["one that is over, in a process that was leaving", caseOf(MAX + 1, false), companyOf(1), "requeue"],
  ] as const)("%s", (_name, one, company, kind) => {
    expect(judge(one, MAX, company).kind).toBe(kind);
  });

  test("with no recovery allowed the first death still proves nothing, and the second buries", () => {
    expect([1, 2].map((deaths) => judge(caseOf(deaths), 0, companyOf(deaths - 1)).kind)).toEqual(["requeue", "bury"]);
  });

  test("says in words why a job is buried", () => {
    expect(judge(caseOf(4), MAX, companyOf(1))).toEqual({
      kind: "bury",
      reason: "its process died 4 times while it ran; 3 are allowed",
    });
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

const deathOf = (incarnation: string, ...queues: string[]): Death => ({
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
    holders: Object.fromEntries(queues.map((queue) => [queue, [incarnation]])),
  },
  cause: "absent",
  evidence: "",
  observed: 0,
  at: 0,
  leaving: false,
});

describe("the company of a death", () => {
  const death = deathOf("dead", "a", "b");

  test.each([
    ["every queue of the process was looked through", companyOf(1, "a", "b"), 0, true],
    ["one was not, just after the death", companyOf(1, "a"), 9_999, false],
    ["one was not, and it was waited for", companyOf(1, "a"), 10_000, true],
  ] as const)("is complete or not: %s", (_name, company, now, complete) => {
    expect(isComplete(company, death, now)).toBe(complete);
  });

  test("is complete without a queue in which the process held nothing", () => {
    const holders = { a: ["1"], idle: [] };
    expect(isComplete(companyOf(1, "a"), { ...death, registration: { ...death.registration, holders } }, 0)).toBe(true);
  });
});

describe("a poison pill among innocents", () => {
  const settings = readSettings({ name: "judge" }, {});

  interface Generations {
    /** Lets one process run; the clock then stands where the next job is due. */
    readonly live: () => Promise<void>;
    readonly jobs: readonly Job[];
    readonly buried: string[];
    readonly deaths: () => number;
  }

  /**
   * Processes run one after the other; each takes all that is due, of every queue, and, with the pill among it, dies
   * of it. Each queue is recovered by a process of its own.
   */
  function openGenerations(inFlight: number, queueCount: number): Generations {
    const queues = Array.from({ length: queueCount }, (_, i) => memoryQueue(`queue ${i}`));
    const store = memoryStore({ server: memoryServer() });
    const events = new Events();
    const buried: string[] = [];
    events.on("orphan.buried", ({ orphan }) => void buried.push(orphan.id));
    const recoverers = queues.map((queue) => ({
      recoverer: new Recoverer({ store, plugins: [], settings, events, self: () => "me" }),
      adapter: memoryAdapter({ queue }),
      queue: queue.key,
      beside: async () => queues.map(({ key }) => key).filter((key) => key !== queue.key),
    }));
    const jobs = Array.from({ length: inFlight }, (_, i) => {
      const queue = queues[i % queueCount]!;
      return { queue, id: queue.add("x", { id: i === 0 ? "pill" : `innocent ${i}` }) };
    });
    const stopping = new AbortController().signal;
    let deaths = 0;

    const recover = async (dead: readonly Death[]): Promise<void> => {
      for (const { recoverer, adapter, queue, beside } of [...recoverers, ...recoverers])
        await recoverer.pass(adapter, queue, { dead, observed: 0, beside, stopping });
    };
    const live = async (): Promise<void> => {
      const holder = `process ${deaths}`;
      soonest(jobs);
      const held = queues.flatMap((queue) => [...takeAll(queue, holder)].map((job) => ({ queue, job })));
      if (held.some(({ job }) => job.id === "pill")) {
        deaths++;
        await recover([deathOf(holder, ...queues.map(({ key }) => key))]);
      } else {
        for (const { queue, job } of held) queue.end(job);
        await recover([]);
      }
    };
    return { live, jobs, buried, deaths: () => deaths };
  }

  function* takeAll(queue: MemoryQueue, holder: string): Generator<HeldJob> {
    for (let job = queue.fetch(holder); job; job = queue.fetch(holder)) yield job;
  }

  /* Time passes until something is due: then all that is due at that moment is. */
  function soonest(jobs: readonly Job[]): void {
    const waiting = jobs.filter((job) => stateOf(job) === "waiting");
    const due = ({ queue, id }: Job): number => queue.get(id)!.dueAt;
    const next = Math.max(Math.min(...waiting.map(due)), Date.now());
    for (const job of waiting) if (due(job) <= next) job.queue.promote(job.id);
  }

  const sizes = Array.from({ length: 50 }, (_, i) => i + 1);

  test.each(sizes.flatMap((inFlight) => [1, 2, 3].map((queueCount) => [inFlight, queueCount] as const)))(
    "is buried at its fourth death, and no innocent ever is, with %d in flight in %d queues of one process",
    async (inFlight, queueCount) => {
      const { live, jobs, buried, deaths } = openGenerations(inFlight, queueCount);
      const isOver = (job: Job): boolean => ["finished", "buried"].includes(stateOf(job));
      for (let generation = 0; generation < 4 * inFlight + 10 && !jobs.every(isOver); generation++) await live();
      expect(buried).toEqual(["pill"]);
      expect(deaths()).toBe(4);
      expect(jobs.filter((job) => stateOf(job) === "finished")).toEqual(jobs.slice(1));
    },
  );
});

describe("queues that are recovered apart", () => {
  const settings = readSettings({ name: "judge" }, {});
  const stopping = new AbortController().signal;

  /** Two queues whose jobs shared a process three times, and are held by it at its fourth death. */
  async function openPair(): Promise<{
    /** `listed`: the dead whom this pass knows. */
    pass: (index: number, observed?: number, listed?: readonly Death[]) => Promise<PassReport>;
    jobs: Job[];
  }> {
    const store = memoryStore();
    const queues = ["a", "b"].map((name) => memoryQueue(name));
    const recoverer = new Recoverer({ store, plugins: [], settings, events: new Events(), self: () => "me" });
    const jobs = queues.map((queue) => ({ queue, id: queue.add("x", { id: "1" }) }));
    for (const former of ["one", "two", "three"]) {
      for (const { queue, id } of jobs) {
        const orphan = { queue: queue.key, id, run: 1, holder: former, proof: "" };
        await store.casebook.open([{ orphan, charged: true }], 60_000);
        await store.casebook.settle([{ orphan, outcome: "requeued", event: { type: "t", who: "me" } }]);
      }
    }
    for (const queue of queues) queue.fetch("dead");
    const keys = queues.map(({ key }) => key);
    const dead: readonly Death[] = [deathOf("dead", ...keys)];
    const beside = async (): Promise<string[]> => keys;
    await store.roster.register(dead[0]!.registration);
    await store.roster.declare({ incarnation: "dead", cause: "left" });
    const pass = (index: number, observed = 0, listed: readonly Death[] = dead): Promise<PassReport> =>
      recoverer.pass(memoryAdapter({ queue: queues[index]! }), keys[index]!, {
        dead: listed,
        observed,
        beside,
        stopping,
      });
    return { pass, jobs };
  }

  const dueIn = ({ queue, id }: Job): number => queue.get(id)!.dueAt - Date.now();

  test("a job whose budget is spent waits until the other queue of its process was looked through", async () => {
    const { pass, jobs } = await openPair();
    expect(await pass(0)).toMatchObject({ waiting: 1, buried: 0, requeued: 0 });
    expect(stateOf(jobs[0]!)).toBe("held");
    expect(await pass(1)).toMatchObject({ waiting: 0, buried: 0, requeued: 1 });
    expect(await pass(0)).toMatchObject({ waiting: 0, buried: 0, requeued: 1 });
  });

  test("also when a pass that began before the death finds its case, which another one opened", async () => {
    const { pass } = await openPair();
    await pass(0);
    expect(await pass(0, 0, [])).toMatchObject({ waiting: 1, buried: 0, requeued: 0 });
  });

  test("a queue that nobody looks through is not waited for for ever", async () => {
    const { pass, jobs } = await openPair();
    expect(await pass(0, 9_999)).toMatchObject({ waiting: 1 });
    expect(await pass(0, 10_000)).toMatchObject({ waiting: 0, buried: 1 });
    expect(stateOf(jobs[0]!)).toBe("buried");
  });

  test("a suspect stays parked while one of the other queue is out, and is let out when that one has ended", async () => {
    const { pass, jobs } = await openPair();
    await pass(0);
    for (const index of [1, 0, 0]) await pass(index);
    const [parked, out] = jobs as [Job, Job];
    expect(dueIn(out)).toBeLessThanOrEqual(30_000);
    expect(dueIn(parked)).toBeGreaterThan(200_000);
    out.queue.promote(out.id);
    out.queue.end(out.queue.fetch("living")!);
    for (const index of [1, 0]) await pass(index);
    expect(dueIn(parked)).toBeLessThanOrEqual(0);
  });
});

describe("the suspects of one queue", () => {
  const settings = readSettings({ name: "judge" }, {});
  const stopping = new AbortController().signal;
  const none = { dead: [], observed: 0, beside: async () => [], stopping };

  test("one that has ended makes room also for one that was listed before it", async () => {
    const queue = memoryQueue("jobs");
    const { store, recoverer } = openRecoverer();
    const [parked, out] = ["1", "2"].map((id) => queue.add("x", { id, delay: 200_000 })) as [string, string];
    await store.casebook.admit("beside", "3", []);
    for (const id of [parked, out]) await store.casebook.admit(queue.key, id, ["beside"]);
    await store.casebook.dismiss("beside", "3");
    await store.casebook.admit(queue.key, out, ["beside"]); // it came back before the other
    expect(await store.casebook.suspects(queue.key)).toEqual([
      { id: parked, state: "parked" },
      { id: out, state: "out" },
    ]);
    queue.promote(out);
    queue.end(queue.fetch("living")!);
    await recoverer.pass(memoryAdapter({ queue }), queue.key, none);
    expect(queue.get(parked)!.dueAt).toBeLessThanOrEqual(Date.now());
  });

  test("who is late to bury a run takes its job, which runs again, from no list", async () => {
    const queue = memoryQueue("jobs");
    const { store, recoverer } = openRecoverer();
    const id = queue.add("x", { id: "1" });
    for (const holder of ["one", "two", "three"]) {
      const orphan = { queue: queue.key, id, run: 1, holder, proof: "" };
      await store.casebook.open([{ orphan, charged: true }], 60_000);
      await store.casebook.settle([{ orphan, outcome: "requeued", event: { type: "t", who: "me" } }]);
    }
    const held = queue.fetch("dead")!;
    const adapter = {
      ...memoryAdapter({ queue }),
      heldBy: async () => [{ queue: queue.key, ...held }],
      bury: async () => "already" as const, // somebody else gave it back just now
      state: async () => "waiting" as const,
    };
    queue.requeue(held, 0);
    await store.casebook.admit(queue.key, id, []);
    await recoverer.pass(adapter, queue.key, { ...none, dead: [deathOf("dead", queue.key)] });
    expect(await store.casebook.suspects(queue.key)).toEqual([{ id, state: "out" }]);
  });

  function openRecoverer(): { store: Store; recoverer: Recoverer } {
    const store = memoryStore();
    return {
      store,
      recoverer: new Recoverer({ store, plugins: [], settings, events: new Events(), self: () => "me" }),
    };
  }
});
