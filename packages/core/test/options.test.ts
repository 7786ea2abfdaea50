import { hostname } from "node:os";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createAssurance } from "../src/assurance.ts";
import { AssuranceError } from "../src/errors.ts";
import { readAdapters, readSettings } from "../src/options.ts";
import type { AssuranceOptions, Settings } from "../src/options.ts";
import { memoryAdapter, memoryQueue, memoryStore } from "../src/testing/index.ts";

afterEach(() => vi.unstubAllEnvs());

const read = (options: object, env: Record<string, string> = {}): Settings => readSettings(options, env);

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(AssuranceError);
    expect((error as AssuranceError).code).toBe("ERR_OPTION");
    return (error as AssuranceError).message;
  }
  throw new Error("it was accepted");
}

const LONGEST = 2 ** 31 - 1;

interface NumberOption {
  readonly name: (typeof TABLE)[number][0];
  readonly fallback: number;
  readonly least: number;
  readonly most: number;
  readonly variable: string | undefined;
  readonly unit: number;
}

/** Option, default, least, most, and its variable with the ms (or pieces) that one unit of it is. */
const TABLE = [
  ["heartbeatInterval", 15_000, 10, LONGEST, "ASSURED_JOBS_HEARTBEAT_INTERVAL", 1_000],
  ["heartbeatTtl", 45_000, 40, LONGEST, "ASSURED_JOBS_HEARTBEAT_TTL", 1_000],
  ["presenceGrace", 1_000, 0, LONGEST],
  ["lookInterval", 250, 10, Math.floor(LONGEST / 4)],
  ["recoveryInterval", 1_000, 10, LONGEST],
  ["recoveryLockTtl", 300_000, 1_000, LONGEST, "ASSURED_JOBS_RECOVERY_LOCK_TTL", 1_000],
  ["delayedRecoveryCount", 1, 0, LONGEST, "ASSURED_JOBS_DELAYED_RECOVERY_COUNT", 1],
  ["delayedRecoveryInterval", 300_000, 10, LONGEST, "ASSURED_JOBS_DELAYED_RECOVERY_INTERVAL", 1_000],
  ["deepPassInterval", 900_000, 10, LONGEST],
  ["maxRecoveries", 3, 0, LONGEST],
  ["recoveryWindow", 72 * 3_600_000, 1_000, Number.MAX_SAFE_INTEGER],
  ["stopTimeout", 25_000, 0, LONGEST],
] as const satisfies readonly (readonly [keyof Settings, number, number, number, string?, number?])[];

const NUMBERS = TABLE.map(([name, fallback, least, most, variable, unit = 1]): NumberOption => ({
  name,
  fallback,
  least,
  most,
  variable,
  unit,
}));
const VARIABLES = NUMBERS.flatMap(({ variable, ...rest }) => (variable === undefined ? [] : [{ ...rest, variable }]));

/* So that neither end of one option is refused for the sake of the other. */
const beside = (name: string): object => ({
  ...(name === "heartbeatInterval" ? { heartbeatTtl: LONGEST } : {}),
  ...(name === "heartbeatTtl" ? { heartbeatInterval: 10, lookInterval: 10 } : {}),
  ...(name === "lookInterval" ? { heartbeatTtl: LONGEST } : {}),
});

describe("numbers", () => {
  test.each(NUMBERS)("$name is $fallback when nobody says anything", ({ name, fallback }) => {
    expect(read({})[name]).toBe(fallback);
    expect(read({ [name]: undefined })[name]).toBe(fallback);
  });

  test.each(NUMBERS)("$name counts as given in code", ({ name, fallback }) => {
    expect(read({ ...beside(name), [name]: fallback + 1 })[name]).toBe(fallback + 1);
  });

  test.each(NUMBERS.filter(({ name }) => name !== "heartbeatInterval"))(
    "$name may be what it must at least and at most be, and no more than that",
    ({ name, least, most }) => {
      for (const value of [least, most]) expect(read({ ...beside(name), [name]: value })[name]).toBe(value);
      for (const value of [least - 1, most + 1]) {
        const message = refusal(() => read({ ...beside(name), [name]: value }));
        expect(message).toBe(`${name}: expected a number from ${least} to ${most}, got ${value}`);
      }
    },
  );

  test.each(NUMBERS)("$name refuses nonsense, and says what it got", ({ name, least, most }) => {
    const nonsense = [
      ["15", '"15"'],
      [Number.NaN, "NaN"],
      [Number.POSITIVE_INFINITY, "Infinity"],
      [-1, "-1"],
      [null, "null"],
      [true, "true"],
      [{}, "Object"],
      [[], "Array"],
      [10n, "10"],
      [() => 1, "a function"],
    ] as const;
    for (const [value, shown] of nonsense) {
      const message = refusal(() => read({ [name]: value }));
      expect(message).toBe(`${name}: expected a number from ${least} to ${most}, got ${shown}`);
    }
  });

  test.each(VARIABLES)(
    "$name: $variable counts in units of $unit, and code wins over it",
    ({ name, variable, unit }) => {
      expect(read(beside(name), { [variable]: "7" })[name]).toBe(7 * unit);
      expect(read({ ...beside(name), [name]: 4_321 }, { [variable]: "7" })[name]).toBe(4_321);
    },
  );

  test.each(VARIABLES)(
    "$name: nonsense in $variable is refused under the name of the variable",
    ({ variable, unit }) => {
      for (const text of ["", " ", "soon", "15s", "-1", "NaN", "Infinity", "99999999999999"]) {
        const message = refusal(() => read({}, { [variable]: text }));
        expect(message).toMatch(new RegExp(`^${variable}: expected a number from [\\d.]+ to \\d+`));
        expect(message.includes("(seconds)")).toBe(unit === 1_000);
        expect(message.endsWith(`got ${JSON.stringify(text)}`)).toBe(true);
      }
    },
  );

  test("a part of a second is a number of milliseconds", () => {
    expect(read({}, { ASSURED_JOBS_HEARTBEAT_INTERVAL: "0.25" }).heartbeatInterval).toBe(250);
  });

  test("a lease that one lost beat would end is refused, wherever the two numbers come from", () => {
    expect(read({ heartbeatInterval: 100, heartbeatTtl: 200, lookInterval: 10 }).heartbeatTtl).toBe(200);
    const expected =
      /^heartbeatTtl: expected at least twice the heartbeatInterval \(30000 ms\), so that one lost beat is no death, got 45000$/;
    expect(refusal(() => read({ heartbeatInterval: 30_000 }))).toMatch(expected);
    expect(refusal(() => read({}, { ASSURED_JOBS_HEARTBEAT_INTERVAL: "30" }))).toMatch(expected);
    expect(refusal(() => read({ heartbeatTtl: 199, heartbeatInterval: 100 }))).toContain("got 199");
  });

  test("a lease that a single look could let lapse is refused", () => {
    expect(refusal(() => read({ lookInterval: 11_251 }))).toBe(
      "lookInterval: expected at most a quarter of the heartbeatTtl (45000 ms), so that no single look lets a lease lapse, got 11251",
    );
    expect(read({ lookInterval: 11_250 }).lookInterval).toBe(11_250);
  });
});

describe("the others", () => {
  test("role is worker, or observer, and nothing else", () => {
    expect(read({}).role).toBe("worker");
    expect(read({ role: "observer" }).role).toBe("observer");
    expect(refusal(() => read({ role: "boss" }))).toBe('role: expected "worker" or "observer", got "boss"');
  });

  test("name: code, else ASSURED_JOBS_INSTANCE_ID, else host name and the place among siblings", () => {
    const env = { ASSURED_JOBS_INSTANCE_ID: "pod-1", NODE_APP_INSTANCE: "2" };
    expect(read({ name: "mine" }, env).name).toBe("mine");
    expect(read({}, env).name).toBe("pod-1");
    expect(read({}, { NODE_APP_INSTANCE: "2" }).name).toBe(`${hostname()}-2`);
    expect(read({}, { NODE_UNIQUE_ID: "3" }).name).toBe(`${hostname()}-3`);
    expect(read({}).name).toBe(hostname());
  });

  test.each(["", "  ", "x".repeat(201), 7, null])("the name %j is refused", (name) => {
    expect(refusal(() => read({ name: name ?? 0 }))).toMatch(/^name: expected 1 to 200 characters, got /);
  });

  test("autoRecovery: code, else ASSURED_JOBS_AUTO_RECOVERY, else true", () => {
    expect(read({}).autoRecovery).toBe(true);
    expect(read({}, { ASSURED_JOBS_AUTO_RECOVERY: "false" }).autoRecovery).toBe(false);
    expect(read({ autoRecovery: true }, { ASSURED_JOBS_AUTO_RECOVERY: "false" }).autoRecovery).toBe(true);
    expect(refusal(() => read({ autoRecovery: "no" }))).toBe('autoRecovery: expected true or false, got "no"');
    expect(refusal(() => read({}, { ASSURED_JOBS_AUTO_RECOVERY: "no" }))).toBe(
      'ASSURED_JOBS_AUTO_RECOVERY: expected true or false, got "no"',
    );
  });

  test("signals is off unless asked for", () => {
    expect(read({}).signals).toBe(false);
    expect(read({ signals: true }).signals).toBe(true);
    expect(refusal(() => read({ signals: 1 }))).toBe("signals: expected true or false, got 1");
  });

  test("an option that nobody knows is refused, with those there are", () => {
    const message = refusal(() => read({ heartbeat: 15 }));
    expect(message).toMatch(/^heartbeat: expected one of .*heartbeatInterval.*adapters.*signals.*, got "heartbeat"$/);
  });

  test("the environment of the process is read when an assurance is made", () => {
    vi.stubEnv("ASSURED_JOBS_HEARTBEAT_TTL", "1");
    const adapters = [memoryAdapter({ queue: memoryQueue() })];
    expect(refusal(() => createAssurance({ adapters }))).toContain(
      "heartbeatTtl: expected at least twice the heartbeatInterval (15000 ms)",
    );
  });
});

describe("what an assurance is made of", () => {
  const adapter = memoryAdapter({ queue: memoryQueue() });
  const make = (options: object): unknown => createAssurance({ store: memoryStore(), ...options });

  test("an adapter given twice is refused: its workers would be hooked into twice", () => {
    expect(refusal(() => readAdapters([adapter, adapter], "worker"))).toBe(
      'adapters: expected each adapter once, got "the same adapter twice"',
    );
    expect(readAdapters([adapter], "worker")).toEqual([adapter]);
    expect(readAdapters(undefined, "observer")).toEqual([]);
  });

  test.each([[adapter], [{}], [[{}]], [[undefined]], ["bullmq"]])(
    "adapters that are none are refused: %#",
    (adapters) => {
      expect(refusal(() => make({ adapters }))).toMatch(/^adapters: expected (an array of )?adapters/);
    },
  );

  test("a worker without any adapter is refused: nothing would be assured; an observer needs none", () => {
    expect(refusal(() => make({}))).toMatch(/^adapters: expected at least one, /);
    expect(refusal(() => make({ adapters: [] }))).toMatch(/^adapters: expected at least one, /);
    expect(() => make({ role: "observer" })).not.toThrow();
  });

  test.each([["locks"], [{ name: "locks" }], [[undefined]], [[{}]], [[{ name: "x", beforeRequeue: true }]]])(
    "plugins that are none are refused when the assurance is made, not at the first orphan: %j",
    (plugins) => {
      expect(refusal(() => make({ adapters: [adapter], plugins }))).toMatch(/^plugins: expected /);
    },
  );

  test.each(["redis://localhost", {}, null, 7])("a store that is none is refused: %j", (store) => {
    expect(refusal(() => createAssurance({ adapters: [adapter], store } as unknown as AssuranceOptions))).toMatch(
      /^store: expected a store, e\.g\. redisStore\(\{ url \}\), got /,
    );
  });

  test("without a store, and with nobody to derive it from, there is no silent localhost", () => {
    vi.stubEnv("ASSURED_JOBS_REDIS_URL", "");
    expect(() => createAssurance({ adapters: [adapter] })).toThrow(
      expect.objectContaining({ code: "ERR_STORE_MISSING" }),
    );
  });
});
