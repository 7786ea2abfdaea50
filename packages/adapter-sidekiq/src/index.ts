export { sidekiqAdapter } from "./adapter.ts";
export type { SidekiqAdapter } from "./adapter.ts";
export type { SidekiqAdapterOptions } from "./options.ts";
export type { RecoverTo } from "./requeue.ts";
export type { RedisOption } from "./connection.ts";
export { SidekiqWorker } from "./worker/worker.ts";
export type { FailureOutcome, SidekiqWorkerEvents } from "./worker/worker.ts";
export type { SidekiqVersion, SidekiqWorkerOptions } from "./worker/options.ts";
export type { QueueOrder } from "./worker/queue-order.ts";
export type { SidekiqJob } from "./worker/job.ts";
export type { DeathHandler, ServerMiddleware, SidekiqHandler, SidekiqJobClass } from "./worker/handlers.ts";
export { Payload } from "./wire/payload.ts";
export type { TimestampUnit } from "./wire/timestamps.ts";
export type { RubyOptions } from "./ruby/source.ts";
export { SidekiqClient } from "./client/client.ts";
export type { SidekiqClientOptions } from "./client/options.ts";
export type {
  ClientJob,
  ClientMiddleware,
  SidekiqBulkInput,
  SidekiqJobFields,
  SidekiqJobInput,
  SidekiqTime,
} from "./client/types.ts";
export { RubyFloat, rubyFloat } from "./wire/ruby-float.ts";
export { activeJob } from "./active-job/active-job.ts";
export type { ActiveJobOptions } from "./active-job/active-job.ts";
export { activeJobClass, readActiveJob } from "./active-job/read.ts";
export type { ActiveJobData, ReadActiveJobOptions, ResolveGlobalId } from "./active-job/read.ts";
export { GlobalId, globalId, parseGlobalId } from "./active-job/global-id.ts";
export {
  bigDecimal,
  duration,
  indifferent,
  keywords,
  OpaqueValue,
  RubyDate,
  rubyDate,
  RubyDecimal,
  RubyDuration,
  RubyHash,
  RubyModule,
  rubyModule,
  RubyRange,
  rubyRange,
  RubySymbol,
  symbol,
  symbolKeys,
} from "./active-job/values.ts";
export type { DurationParts, RubyKeys } from "./active-job/values.ts";
