/* Several processes in one: server and queue are shared, and each process has its own assurance, store and worker.
 *
 * crash() is SIGKILL: beats, presence, looks and the worker end in the same instant, and what was held stays held.
 */
import { onTestFinished, vi } from "vitest";
import { createAssurance } from "../../src/assurance.ts";
import type { Assurance, StartOptions } from "../../src/assurance.ts";
import type { AssuranceEvents, EventName } from "../../src/events.ts";
import type { AssuranceOptions } from "../../src/options.ts";
import type { Store } from "../../src/store.ts";
import { memoryAdapter, memoryQueue, memoryServer, memoryStore } from "../../src/testing/index.ts";
import type { HeldJob, MemoryAdapter, MemoryPulse, MemoryQueue, MemoryServer } from "../../src/testing/index.ts";

/** Deaths are seen by presence within tens of ms; the lease is so long that a busy machine kills nobody. */
const FAST = {
  heartbeatInterval: 20,
  heartbeatTtl: 20_000,
  presenceGrace: 10,
  lookInterval: 10,
  recoveryInterval: 20,
  stopTimeout: 2_000,
} as const satisfies Partial<AssuranceOptions>;

const EVENTS: readonly EventName[] = [
  "instance.started",
  "instance.dead",
  "instance.fenced",
  "instance.reborn",
  "instance.retired",
  "orphan.recovered",
  "orphan.finished",
  "orphan.vanished",
  "orphan.buried",
  "orphan.failed",
  "orphan.unknown-queue",
  "run.fenced",
  "duty.taken",
  "duty.lost",
  "store.down",
  "store.up",
  "presence.distrusted",
  "action",
  "warning",
  "error",
];

export type Handler = (job: HeldJob, signal: AbortSignal) => Promise<unknown>;

interface ProcessOptions extends Omit<AssuranceOptions, "store"> {
  /** The queue of the fleet by default. */
  readonly queue?: MemoryQueue;
  readonly handler?: Handler;
  readonly concurrency?: number;
  /** A store that behaves differently. */
  readonly store?: (store: Store) => Store;
}

/** One simulated process. */
export interface Process {
  readonly assurance: Assurance;
  readonly adapter: MemoryAdapter;
  readonly store: Store;
  readonly pulse: MemoryPulse;
  /** What was emitted under this name, oldest first. */
  readonly heard: <E extends EventName>(event: E) => AssuranceEvents[E][];
  /** Names of all events, oldest first. */
  readonly told: readonly EventName[];
  crash(): void;
}

export interface Fleet {
  readonly server: MemoryServer;
  readonly queue: MemoryQueue;
  /** A handle of the test itself, for looking. */
  readonly store: Store;
  create(options?: ProcessOptions): Process;
  start(options?: ProcessOptions, start?: StartOptions): Promise<Process>;
}

/** A server and a queue; whatever is created in the fleet ends with the test. */
export function openFleet(): Fleet {
  const server = memoryServer();
  const queue = memoryQueue();
  const processes: Process[] = [];
  onTestFinished(() => {
    for (const one of processes) {
      one.crash();
      void one.assurance.stop({ timeout: 0 });
    }
  });
  const create = (options: ProcessOptions = {}): Process => {
    const made = createProcess(server, { name: `p${processes.length + 1}`, queue, ...options });
    processes.push(made);
    return made;
  };
  return {
    server,
    queue,
    store: memoryStore({ server }),
    create,
    start: async (options, start) => {
      const made = create(options);
      await made.assurance.start(start);
      return made;
    },
  };
}

function createProcess(server: MemoryServer, options: ProcessOptions & { readonly queue: MemoryQueue }): Process {
  const { queue, handler, concurrency, adapters, store: change = (store: Store) => store, ...rest } = options;
  const memory = memoryStore({ server });
  const pulses: MemoryPulse[] = [];
  const store = change({
    ...parts(memory),
    pulse: async (registration, listener) => {
      const pulse = await memory.pulse(registration, listener);
      pulses.push(pulse);
      return pulse;
    },
  });
  const adapter = memoryAdapter({
    queue,
    ...(handler === undefined ? {} : { process: handler }),
    ...(concurrency === undefined ? {} : { concurrency }),
  });
  const assurance = createAssurance({ ...FAST, ...rest, adapters: adapters ?? [adapter], store });
  const log = EVENTS.map((event) => [event, listen(assurance, event)] as const);
  const told: EventName[] = [];
  for (const event of EVENTS) assurance.on(event, () => void told.push(event));
  return {
    assurance,
    adapter,
    store,
    get pulse() {
      return pulses.at(-1)!;
    },
    heard: <E extends EventName>(event: E) => log.find(([name]) => name === event)![1] as AssuranceEvents[E][],
    told,
    crash: () => {
      adapter.crash();
      void memory.close();
    },
  };
}

/** The parts of a store as an object of its own, so that a test can replace one of them. */
export function parts(store: Store): Store {
  const { namespace, roster, casebook, ledger } = store;
  return {
    namespace,
    roster,
    casebook,
    ledger,
    open: () => store.open(),
    close: () => store.close(),
    pulse: (registration, listener) => store.pulse(registration, listener),
  };
}

/** Another object with the same methods, so that a test can replace some of them. */
export function changed<T extends object>(original: T, change: Partial<T>): T {
  return new Proxy(original, {
    get: (target, name) => {
      if (name in change) return Reflect.get(change, name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function listen(assurance: Assurance, event: EventName): unknown[] {
  const payloads: unknown[] = [];
  assurance.on(event, (payload) => void payloads.push(payload));
  return payloads;
}

/** Waits until the condition holds. */
export async function until(condition: () => unknown): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await condition())) throw new Error(`not yet: ${condition.toString()}`);
    },
    { timeout: 10_000, interval: 5 },
  );
}

/** Never ends, whatever it is told. */
export const forever: Handler = () => new Promise(() => {});

/** Ends when its signal is aborted, with the reason. */
export const untilAborted: Handler = (_job, signal) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });

export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

export function defer<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((given) => (resolve = given));
  return { promise, resolve };
}
