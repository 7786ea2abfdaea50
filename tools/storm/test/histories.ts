/* A small history in which everything went well, and ways to spoil it: what a checker is tested with. */
import type { Fact, Freeze, History, LedgerLine, Life, Note, Plan } from "../src/history.mjs";

export type Draft = {
  -readonly [Part in keyof History]: History[Part] extends readonly (infer Item)[] ? Item[] : History[Part];
} & { plans: Map<string, Plan> };

const ALIVE = "w1.aaaa";
const KILLED = "w2.bbbb";
const ZOMBIE = "w3.cccc";
const REBORN = "w3.dddd";

/**
 * Three processes: w1 lives, w2 is killed at 1,000, w3 is frozen from 2,000 and declared dead at 6,000, thawed at 7,000.
 * Job `plain` runs once, `struck` is killed with w2, `retried` fails once, `fatal` fails for good, `haunted` is taken
 * from the zombie.
 */
export function healthy(): Draft {
  return {
    assured: true,
    plans: new Map(
      [
        plan("plain"),
        plan("struck"),
        plan("retried", { fails: 1 }),
        plan("fatal", { end: "failed" }),
        plan("haunted"),
      ].map((one) => [one.id, one]),
    ),
    facts: [
      ...facts("plain", [
        [100, "active"],
        [200, "completed", "w1/1", 1],
      ]),
      ...facts("struck", [
        [900, "active"],
        [1_400, "returned"],
        [1_500, "active"],
        [1_600, "completed", "w1/1", 2],
      ]),
      ...facts("retried", [
        [100, "active"],
        [150, "returned"],
        [200, "active"],
        [250, "completed", "w1/1", 2],
      ]),
      ...facts("fatal", [
        [100, "active"],
        [150, "failed", "w1/1", 1],
      ]),
      ...facts("haunted", [
        [1_900, "active"],
        [6_100, "returned"],
        [6_200, "active"],
        [6_300, "completed", "w1/1", 2],
      ]),
    ],
    notes: [
      ...run("plain", "w1/1", 1, [100, 190, "returned"]),
      ...started("struck", "w2/2", 1, 900),
      ...run("struck", "w1/1", 2, [1_500, 1_590, "returned"]),
      ...run("retried", "w1/1", 1, [100, 140, "threw"]),
      ...run("retried", "w1/1", 2, [200, 240, "returned"], 1),
      ...run("fatal", "w1/1", 1, [100, 140, "threw"]),
      ...started("haunted", "w3/3", 1, 1_900),
      ...run("haunted", "w1/1", 2, [6_200, 6_290, "returned"]),
      { process: "w3/3", what: "gave up", job: "haunted", run: 1, at: 7_010 },
    ],
    ledger: [
      dead(KILLED, 1_300),
      recovered("struck", 1, KILLED, 1_400),
      dead(ZOMBIE, 6_000),
      recovered("haunted", 1, ZOMBIE, 6_100),
    ],
    lives: [
      life("w1/1", [ALIVE]),
      life("w2/2", [KILLED], { killedAt: 1_000, exitedAt: 1_001, exit: "SIGKILL" }),
      life("w3/3", [ZOMBIE, REBORN], { freezes: [frozen()], fencedAt: [7_010], rebornAt: [7_020] }),
    ],
    leftovers: {
      unfinished: { active: 0, waiting: 0 },
      kept: 5,
      locks: [],
      store: { pending: 0, claims: 0, quarantined: 0, suspects: 0 },
      findings: [],
    },
  };
}

export const plan = (id: string, rest: Partial<Plan> = {}): Plan => ({
  id,
  end: "completed",
  fails: 0,
  data: { task: "work", ms: 10, fails: 0, dies: false },
  options: { attempts: 1, backoff: 0, delay: 0, priority: 0, removeWhenCompleted: false },
  ...rest,
});

type Line = readonly [at: number, what: Fact["what"], process?: string, run?: number];

function facts(job: string, lines: readonly Line[]): Fact[] {
  return [
    { job, at: 0, what: "added" },
    ...lines.map(([at, what, process, number]) => fact(job, at, what, process, number)),
  ];
}

export const fact = (job: string, at: number, what: Fact["what"], process?: string, run = 0): Fact => ({
  job,
  at,
  what,
  ...(process === undefined ? {} : { by: { process, run } }),
});

export const started = (job: string, process: string, number: number, at: number, attempt = 0): Note[] => [
  { process, what: "started", job, run: number, at, attempt, token: number },
];

export const run = (
  job: string,
  process: string,
  number: number,
  [from, to, what]: readonly [number, number, "returned" | "threw" | "gave up"],
  attempt = 0,
): Note[] => [
  ...started(job, process, number, from, attempt),
  { process, what, job, run: number, at: to },
  { process, what: "accepted", job, run: number, at: to + 5 },
];

export const recovered = (job: string, number: number, holder: string, at: number): LedgerLine => ({
  type: "orphan.recovered",
  who: ALIVE,
  job,
  run: number,
  holder,
  at,
});

export const dead = (who: string, at: number): LedgerLine => ({ type: "instance.dead", who, at, detail: "absent" });

export const frozen = (rest: Partial<Freeze> = {}): Freeze => ({
  from: 2_000,
  to: 7_000,
  kind: "long",
  incarnation: ZOMBIE,
  declared: true,
  ...rest,
});

export const life = (process: string, incarnations: string[], rest: Partial<Life> = {}): Life => ({
  process,
  name: process.slice(0, 2),
  pid: 1,
  launchedAt: 0,
  readyAt: 1,
  incarnations,
  fencedAt: [],
  rebornAt: [],
  freezes: [],
  trouble: [],
  ...rest,
});
