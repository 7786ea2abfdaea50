export { beeAdapter } from "./adapter.ts";
export type { BeeAdapter, BeeAdapterOptions } from "./adapter.ts";
export type { BeeQueue } from "./native.ts";
export type { Unclaimed } from "./upkeep.ts";
export type { Track } from "@assured-jobs/core/adapter-kit";
