/* What is being recovered, on Redis. Batches go in slices, so that no single call holds the server for long. */
import type { Incarnation } from "../instance.ts";
import type { Case, Casebook, Charge, Company, Orphan, Settlement, SuspectJob } from "../store.ts";
import type { Keys } from "./keys.ts";
import type { Link } from "./link.ts";
import { allParsed, fieldOf, parsed } from "./replies.ts";
import { setAside } from "./scripts/set-aside.ts";
import { admit, deaths, dismiss, open, settle, survey } from "./scripts/casebook.ts";

const SLICE = 50;
/** On their way at once; Redis takes them in their order. */
const AT_ONCE = 4;
const RECOVERIES_KEPT = 10_000;
/** A recoverer that read the queue so long ago has long been given up, ms. */
const REMEMBERED = 600_000;
/** Nobody asks for the company of a death that is older, ms: its jobs have been given back. */
const SURVEY_REMEMBERED = 7 * 24 * 3_600_000;

export class RedisCasebook implements Casebook {
  readonly #link: Link;
  readonly #keys: Keys;

  constructor(link: Link, keys: Keys) {
    this.#link = link;
    this.#keys = keys;
  }

  async open(charges: readonly Charge[], window: number): Promise<readonly Case[]> {
    const opened = new Map<Charge, Case>();
    await eachSlice(
      charges,
      (charge) => charge.orphan.queue,
      async (queue, slice) => {
        const keys = [
          this.#keys.cases(queue),
          this.#keys.pending,
          this.#keys.settled(queue),
          ...slice.flatMap(({ orphan: { id, holder } }) => [
            this.#keys.budget(queue, id),
            this.#keys.suspected(holder),
          ]),
        ];
        const args = slice.flatMap(({ orphan, charged }) => [
          orphan.id,
          orphan.run,
          orphan.holder,
          charged ? 1 : 0,
          JSON.stringify(orphan),
          fieldOf(queue, orphan.id),
        ]);
        const reply = (await this.#link.run("open", open, keys, [queue, window, ...args])) as number[];
        slice.forEach((charge, i) =>
          opened.set(charge, { orphan: charge.orphan, deaths: reply[2 * i]!, openedAt: reply[2 * i + 1]! }),
        );
      },
    );
    return charges.map((charge) => opened.get(charge)!);
  }

  async pending(queue: string): Promise<readonly Case[]> {
    const { malformed, pending } = this.#keys;
    const key = this.#keys.cases(queue);
    const records = Object.entries(await this.#link.call((client) => client.hgetall(key)));
    for (const [id, record] of records.filter(([, text]) => !isCase(parsed<Case>(text)))) {
      await this.#link.run("setAside", setAside, [key, malformed, pending], [id, record, `case:${queue}:${id}`, queue]);
    }
    return allParsed<Case>(records.map(([, record]) => record)).filter(isCase);
  }

  async settle(settlements: readonly Settlement[]): Promise<readonly boolean[]> {
    const closed = new Map<Settlement, boolean>();
    await eachSlice(
      settlements,
      ({ orphan }) => orphan.queue,
      async (queue, slice) => {
        const { pending, claimed } = this.#keys;
        const claims = slice.map(({ orphan }) => this.#keys.claims(orphan.holder));
        const keys = [
          this.#keys.cases(queue),
          pending,
          claimed,
          this.#keys.history("recoveries"),
          this.#keys.settled(queue),
          ...claims,
        ];
        const args = slice.flatMap(({ orphan, event }) => settlementArgs(orphan, JSON.stringify(event)));
        const reply = (await this.#link.run("settle", settle, keys, [
          queue,
          RECOVERIES_KEPT,
          REMEMBERED,
          ...args,
        ])) as number[];
        slice.forEach((settlement, i) => closed.set(settlement, reply[i] === 1));
      },
    );
    return settlements.map((settlement) => closed.get(settlement)!);
  }

  async deaths(queue: string, id: string, window: number): Promise<number> {
    return (await this.#link.run("deaths", deaths, [this.#keys.budget(queue, id)], [window])) as number;
  }

  async pardon(queue: string, id: string): Promise<void> {
    await this.#link.call((client) => client.del(this.#keys.budget(queue, id)));
  }

  async survey(queue: string, dead: Incarnation): Promise<void> {
    await this.#link.run("survey", survey, [this.#keys.surveyed(dead)], [queue, SURVEY_REMEMBERED]);
  }

  async company(dead: Incarnation): Promise<Company> {
    const [suspects, surveyed] = await this.#link.call((client) =>
      Promise.all([client.scard(this.#keys.suspected(dead)), client.smembers(this.#keys.surveyed(dead))]),
    );
    return { suspects, surveyed };
  }

  async admit(queue: string, id: string, beside: readonly string[]): Promise<boolean> {
    const others = beside.filter((other) => other !== queue).map((other) => this.#keys.suspectOut(other));
    return (await this.#link.run("admit", admit, [...this.#suspectKeys(queue), ...others], [id])) === 1;
  }

  async dismiss(queue: string, id: string): Promise<void> {
    await this.#link.run("dismiss", dismiss, this.#suspectKeys(queue), [id]);
  }

  async suspects(queue: string): Promise<readonly SuspectJob[]> {
    const [outKey, parkedKey] = this.#suspectKeys(queue);
    const [out, parked] = await this.#link.call((client) =>
      Promise.all([client.get(outKey), client.zrange(parkedKey, "0", "-1")]),
    );
    const first: SuspectJob[] = out === null ? [] : [{ id: out, state: "out" }];
    return [...first, ...parked.map((id): SuspectJob => ({ id, state: "parked" }))];
  }

  #suspectKeys(queue: string): [out: string, parked: string] {
    return [this.#keys.suspectOut(queue), this.#keys.suspectsParked(queue)];
  }
}

const isCase = (record: Case | undefined): record is Case =>
  typeof record?.orphan?.id === "string" &&
  typeof record.orphan.run === "number" &&
  typeof record.openedAt === "number";

const settlementArgs = (orphan: Orphan, event: string): (string | number)[] => [
  orphan.id,
  orphan.run,
  orphan.holder,
  fieldOf(orphan.queue, orphan.id),
  event,
];

/* Items of one queue belong into one call; their order inside it is kept. */
async function eachSlice<T>(
  items: readonly T[],
  queueOf: (item: T) => string,
  send: (queue: string, slice: readonly T[]) => Promise<void>,
): Promise<void> {
  for (const queue of new Set(items.map(queueOf))) {
    const ofQueue = items.filter((item) => queueOf(item) === queue);
    for (let first = 0; first < ofQueue.length; first += AT_ONCE * SLICE) {
      const slices = Array.from({ length: AT_ONCE }, (_, at) =>
        ofQueue.slice(first + at * SLICE, first + (at + 1) * SLICE),
      );
      await Promise.all(slices.filter(({ length }) => length > 0).map((slice) => send(queue, slice)));
    }
  }
}
