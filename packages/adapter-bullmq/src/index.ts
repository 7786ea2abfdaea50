export { bullmqAdapter } from "./adapter.ts";
export type { BullmqAdapter, BullmqAdapterOptions } from "./adapter.ts";
export type { BullmqQueue, BullmqWorker } from "./native.ts";
export { sandboxGuard } from "./sandbox.ts";
export type { Track } from "@assured-jobs/core/adapter-kit";
