/* Queues count their runs differently; the checker knows them as first, second, third. */
import { expect, test } from "vitest";
import { inOrdinals } from "../src/ordinals.mjs";
import type { Fact, LedgerLine, Note } from "../src/history.mjs";

const active = (job: string, run?: number): Fact => ({ job, at: 0, what: "active", ...(run && { run }) });
const note = (job: string, run: number): Note => ({ process: "p", at: 0, what: "started", job, run, token: run });
const line = (job: string, run: number): LedgerLine => ({ type: "orphan.recovered", at: 0, who: "x", job, run });

test("a queue that counts each job's runs is taken at its word", () => {
  const told = { facts: [active("a"), active("a")], notes: [note("a", 2)], ledger: [line("a", 1)] };
  expect(inOrdinals(told)).toEqual(told);
});

test("numbers that count the whole queue become first, second, third, everywhere", () => {
  const end: Fact = { job: "a", at: 0, what: "completed", by: { process: "p", run: 907 } };
  const facts = [active("a", 12), active("b", 13), active("a", 907), end];
  const told = inOrdinals({ facts, notes: [note("a", 907), note("b", 13)], ledger: [line("a", 12)] });
  expect(told.facts.at(-1)?.by).toEqual({ process: "p", run: 2 });
  expect(told.notes.map(({ run, token }) => [run, token])).toEqual([
    [2, 2],
    [1, 1],
  ]);
  expect(told.ledger[0]?.run).toBe(1);
});

test("a run of which the queue knows nothing stays one that nobody knows", () => {
  const [one] = inOrdinals({ facts: [active("a", 12)], notes: [note("a", 99)], ledger: [] }).notes;
  expect(one?.run).toBeGreaterThan(1_000);
});
