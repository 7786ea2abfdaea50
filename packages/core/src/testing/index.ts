/* Testing: the conformance suites that every store and adapter must pass, and a store and a queue in memory. */
export { describeAdapter } from "./adapter-suite/index.ts";
export type { AdapterHarness, HeldMany, HeldRun, NewJob, OpenProcess, Verdict } from "./adapter-suite/harness.ts";
export { memoryAdapter } from "./memory-adapter.ts";
export type { MemoryAdapter, MemoryAdapterOptions } from "./memory-adapter.ts";
export { memoryQueue } from "./memory-queue.ts";
export type { HeldJob, MemoryJob, MemoryJobOptions, MemoryQueue } from "./memory-queue.ts";
export { memoryServer, memoryStore } from "../memory/index.ts";
export type {
  MemoryPulse,
  MemoryServer,
  MemoryServerOptions,
  MemoryStore,
  MemoryStoreOptions,
  Notice,
  Subscriber,
  Subscription,
} from "../memory/index.ts";
export { controlOf, RecordingHost } from "./recording-host.ts";
export type { Reported } from "./recording-host.ts";
export type { Runner, Skip, SuiteOptions } from "./runner.ts";
export { describeStore } from "./store-suite/index.ts";
export type { Presence, StoreHarness } from "./store-suite/harness.ts";
export { gate, until } from "./until.ts";
