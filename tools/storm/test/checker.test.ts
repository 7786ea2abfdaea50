/* The checker is what the storm's verdict rests on: each thing that must not be is put into a history that is otherwise
 * in order, and must be found, and nothing else with it that would hide it. */
import { expect, test } from "vitest";
import { check } from "../src/checker.mjs";
import type { ViolationKind } from "../src/history.mjs";
import { dead, fact, frozen, healthy, life, plan, recovered, run, started } from "./histories.ts";
import type { Draft } from "./histories.ts";

interface Spoilt {
  readonly name: string;
  readonly spoil: (draft: Draft) => void;
  readonly finds: ViolationKind;
  readonly job?: string;
}

const at = (draft: Draft, job: string, what: string): number =>
  draft.facts.findIndex((one) => one.job === job && one.what === what);

const drop = (draft: Draft, job: string, what: string): void => void draft.facts.splice(at(draft, job, what), 1);

const SPOILT: readonly Spoilt[] = [
  // --- lost
  {
    name: "a job that never ends is lost",
    spoil: (draft) => drop(draft, "plain", "completed"),
    finds: "lost",
    job: "plain",
  },
  {
    name: "a job of which the queue knows nothing is lost",
    spoil: (draft) => draft.plans.set("ghost", plan("ghost")),
    finds: "lost",
    job: "ghost",
  },
  {
    name: "a job that is stuck in the hands of a dead process is lost",
    spoil: (draft) => draft.facts.splice(at(draft, "struck", "returned"), 3),
    finds: "lost",
    job: "struck",
  },
  {
    name: "a job that was failed by the queue, not by its handler, is lost",
    spoil: (draft) => {
      draft.facts[at(draft, "struck", "completed")] = { job: "struck", at: 1_600, what: "failed", detail: "stalled" };
    },
    finds: "lost",
    job: "struck",
  },
  // --- doubled
  {
    name: "an end that was accepted twice is doubled",
    spoil: (draft) => draft.facts.push(fact("plain", 300, "completed", "w3/3", 1)),
    finds: "doubled",
    job: "plain",
  },
  {
    name: "a job that completed and failed is doubled",
    spoil: (draft) => draft.facts.push(fact("plain", 300, "failed", "w1/1", 1)),
    finds: "doubled",
    job: "plain",
  },
  {
    name: "two runs that were both told that their end was accepted are doubled, whatever the queue recorded",
    spoil: (draft) => draft.notes.push(...run("struck", "w3/3", 3, [1_700, 1_800, "returned"])),
    finds: "doubled",
    job: "struck",
  },
  {
    name: "one run that two processes started is doubled",
    spoil: (draft) => draft.notes.push(...started("plain", "w3/3", 1, 110)),
    finds: "doubled",
    job: "plain",
  },
  {
    name: "a failure that was accepted twice is doubled",
    spoil: (draft) => {
      draft.notes = draft.notes.map((note) =>
        note.job === "retried" && note.run === 2 ? { ...note, attempt: 2 } : note,
      );
    },
    finds: "doubled",
    job: "retried",
  },
  // --- requeued twice
  {
    name: "a run that was given back twice",
    spoil: (draft) => draft.ledger.push(recovered("struck", 1, "w2.bbbb", 1_450)),
    finds: "requeuedTwice",
    job: "struck",
  },
  {
    name: "a job that was given back more often than its holder died",
    spoil: (draft) => draft.ledger.push(recovered("struck", 2, "w2.bbbb", 1_450)),
    finds: "requeuedTwice",
    job: "struck",
  },
  {
    name: "a job that was put back while it was back already",
    spoil: (draft) => draft.facts.splice(at(draft, "struck", "returned"), 0, fact("struck", 1_390, "returned")),
    finds: "requeuedTwice",
    job: "struck",
  },
  // --- runs
  {
    name: "a finished job that runs again",
    spoil: (draft) => draft.facts.push(fact("plain", 300, "active")),
    finds: "ranAfterEnd",
    job: "plain",
  },
  {
    name: "an accepted end of a run that no longer held the job",
    spoil: (draft) => {
      draft.facts[at(draft, "haunted", "completed")] = fact("haunted", 7_015, "completed", "w3/3", 1);
    },
    finds: "staleEnd",
    job: "haunted",
  },
  {
    name: "a job that came back, and nobody says why",
    spoil: (draft) => void (draft.ledger = draft.ledger.filter(({ job }) => job !== "struck")),
    finds: "unexplained",
    job: "struck",
  },
  {
    name: "a run that began although the one before had not come back",
    spoil: (draft) => drop(draft, "struck", "returned"),
    finds: "unexplained",
    job: "struck",
  },
  {
    name: "a job that nobody added",
    spoil: (draft) => draft.facts.push(fact("stranger", 10, "added")),
    finds: "unexplained",
    job: "stranger",
  },
  {
    name: "an end by a process that never started the run",
    spoil: (draft) => void (draft.notes = draft.notes.filter(({ job }) => job !== "plain")),
    finds: "unexplained",
    job: "plain",
  },
  {
    name: "a run that began while the one before went on in a process that was well",
    spoil: (draft) => {
      draft.facts.splice(
        at(draft, "plain", "completed"),
        0,
        fact("plain", 150, "returned"),
        fact("plain", 160, "active"),
      );
      draft.notes.push(...started("plain", "w3/3", 2, 160));
    },
    finds: "overlap",
    job: "plain",
  },
  {
    name: "a fencing token that is not the run's number",
    spoil: (draft) => void (draft.notes[0] = { ...draft.notes[0]!, token: 7 }),
    finds: "wrongToken",
    job: "plain",
  },
  // --- evidence that is missing or lies
  {
    name: "a run of which the queue has no record",
    spoil: (draft) => draft.notes.push(...started("plain", "w3/3", 2, 300)),
    finds: "untold",
    job: "plain",
  },
  {
    name: "a line about a run that had ended",
    spoil: (draft) => draft.ledger.push(recovered("plain", 1, "w2.bbbb", 1_400)),
    finds: "untold",
    job: "plain",
  },
  {
    name: "a job that was taken from somebody who lives",
    spoil: (draft) => {
      draft.ledger = draft.ledger.map((line) =>
        line.job === "struck" ? recovered("struck", 1, "w1.aaaa", 1_400) : line,
      );
    },
    finds: "untold",
    job: "struck",
  },
  {
    name: "an end that the queue keeps and its record does not tell",
    spoil: (draft) => void (draft.leftovers = { ...draft.leftovers, kept: 6 }),
    finds: "untold",
  },
  // --- processes
  {
    name: "a living process that was declared dead",
    spoil: (draft) => draft.ledger.push(dead("w1.aaaa", 500)),
    finds: "falseDeath",
  },
  {
    name: "a process that was frozen for less than its lease and declared dead",
    spoil: (draft) => {
      draft.lives[2] = life("w3/3", ["w3.cccc"], { freezes: [frozen({ kind: "middle", declared: false })] });
    },
    finds: "falseDeath",
  },
  {
    name: "a killed process that nobody missed",
    spoil: (draft) => void (draft.ledger = draft.ledger.filter(({ who }) => who !== "w2.bbbb")),
    finds: "unnoticed",
  },
  {
    name: "a frozen process that nobody gave up",
    spoil: (draft) => draft.lives[0]!.freezes.push(frozen({ incarnation: "w1.aaaa", declared: false })),
    finds: "unnoticed",
  },
  {
    name: "a zombie that was not born again",
    spoil: (draft) => void (draft.lives[2]!.rebornAt.length = 0),
    finds: "notReborn",
  },
  {
    name: "a zombie that never learned of its death",
    spoil: (draft) => void (draft.lives[2]!.fencedAt.length = 0),
    finds: "notReborn",
  },
  {
    name: "a process that ended by itself",
    spoil: (draft) => void Object.assign(draft.lives[0]!, { exitedAt: 8_000, exit: "1" }),
    finds: "crashed",
  },
  // --- leftovers
  {
    name: "a lock that nobody holds",
    spoil: (draft) => void (draft.leftovers = { ...draft.leftovers, locks: ["lock"] }),
    finds: "leftover",
  },
  {
    name: "a job that is active for ever",
    spoil: (draft) => void (draft.leftovers = { ...draft.leftovers, unfinished: { active: 1 } }),
    finds: "leftover",
  },
  ...(["pending", "claims", "quarantined", "suspects"] as const).map((what): Spoilt => ({
    name: `${what} that are left in the store`,
    spoil: (draft) => {
      draft.leftovers = { ...draft.leftovers, store: { ...draft.leftovers.store!, [what]: 1 } };
    },
    finds: "leftover",
  })),
  {
    name: "what an audit finds",
    spoil: (draft) => void (draft.leftovers = { ...draft.leftovers, findings: ["bullmq.phantom"] }),
    finds: "leftover",
  },
];

test("a storm in which everything went well has no violation", () => {
  expect(check(healthy())).toEqual([]);
});

for (const { name, spoil, finds, job } of SPOILT) {
  test(`is found: ${name}`, () => {
    const draft = healthy();
    spoil(draft);
    const found = check(draft);
    expect(found.map(({ kind }) => kind)).toContain(finds);
    expect(found.find(({ kind }) => kind === finds)?.job).toBe(job);
  });
}

test("a zombie may fetch a job once more before it knows, and it is given back once more", () => {
  const draft = healthy();
  draft.facts = draft.facts.filter((one) => one.job !== "haunted");
  draft.facts.push(
    ...(["added", "active", "returned", "active", "returned", "active"] as const).map((what, i) =>
      fact("haunted", 6_000 + i * 10, what),
    ),
    fact("haunted", 7_300, "completed", "w1/1", 3),
  );
  draft.notes = draft.notes.filter((note) => note.job !== "haunted");
  draft.notes.push(...started("haunted", "w3/3", 1, 6_010), ...run("haunted", "w1/1", 3, [7_200, 7_290, "returned"]));
  draft.ledger.push(recovered("haunted", 2, "w3.cccc", 7_100));
  expect(check(draft)).toEqual([]);
});

test("a process that leaves may hand its job over, and its deaf handler may go on meanwhile", () => {
  const draft = healthy();
  draft.lives[0]!.leavingAt = 120;
  draft.facts.splice(at(draft, "plain", "completed"), 1, fact("plain", 130, "returned"), fact("plain", 140, "active"));
  draft.facts.push(fact("plain", 400, "completed", "w3/3", 2));
  draft.notes = draft.notes.filter((note) => note.job !== "plain" || note.what !== "accepted");
  draft.notes.push(...run("plain", "w3/3", 2, [150, 390, "returned"]));
  expect(check(draft)).toEqual([]);
});

test("a recoverer may die after the move, and the next one find the job gone: one line answers for the run", () => {
  const draft = healthy();
  draft.ledger = draft.ledger.map((line) => (line.job === "struck" ? { ...line, type: "orphan.vanished" } : line));
  expect(check(draft)).toEqual([]);
});

test("a process killed at the moment of its birth has no name, and its death is nobody's fault", () => {
  const draft = healthy();
  draft.lives.push(life("w4/4", [], { killedAt: 50, exitedAt: 51, exit: "SIGKILL" }));
  draft.ledger.push(dead("w4.eeee", 300));
  expect(check(draft)).toEqual([]);
});

test("a zombie that is frozen again before it knows of its death died once", () => {
  const draft = healthy();
  const [freeze] = draft.lives[2]!.freezes;
  draft.lives[2]!.freezes.push({ ...freeze!, from: 7_010, to: 7_020 });
  expect(check(draft)).toEqual([]);
});
