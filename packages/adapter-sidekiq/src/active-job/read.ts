/* A job of Rails, as a Node worker reads it. */
import type { Payload } from "../wire/payload.ts";
import { parseExact, parseWithFloats } from "../wire/exact.ts";
import { WRAPPERS } from "./active-job.ts";
import { deserialize } from "./deserialize.ts";
import type { GlobalId } from "./global-id.ts";

/** Turns the name of a record into what the job is given in its place, e.g. a row. May be async; each name is asked once. */
export type ResolveGlobalId = (id: GlobalId) => unknown;

export interface ReadActiveJobOptions {
  /** Default: the GlobalId itself. What it rejects with, `readActiveJob` rejects with. */
  readonly resolveGlobalId?: ResolveGlobalId | undefined;
}

/** What Rails calls job_data. Undefined is what Rails did not write. */
export interface ActiveJobData {
  /** The class that the user wrote. */
  readonly jobClass: string;
  /** Stays the same through Rails' own retries, which get new jids. */
  readonly jobId: string | undefined;
  /** Hashes are plain objects, Times are Dates; see the classes of this package for the others. */
  readonly arguments: readonly unknown[];
  /** As they stand in the job, integers exact. */
  readonly serializedArguments: readonly unknown[];
  readonly queue: string | undefined;
  readonly priority: number | undefined;
  readonly executions: number;
  /** How often which exceptions were rescued, by Rails' own names. */
  readonly exceptionExecutions: Readonly<Record<string, unknown>>;
  readonly locale: string | undefined;
  readonly timezone: string | undefined;
  readonly enqueuedAt: Date | undefined;
  readonly scheduledAt: Date | undefined;
}

type Json = Readonly<Record<string, unknown>>;

const WRAPPER_NAMES = new Set(Object.values(WRAPPERS));

/** The class behind the wrapper, or undefined when this is no job of Rails. */
export function activeJobClass(payload: Payload): string | undefined {
  const isWrapped = WRAPPER_NAMES.has(payload.string("class") ?? "") || payload.string("wrapped") !== undefined;
  const jobClass = isWrapped ? jobData(payload.get("args"))?.["job_class"] : undefined;
  return typeof jobClass === "string" && jobClass !== "" ? jobClass : undefined;
}

/**
 * The job behind the wrapper, or undefined when this is no job of Rails. Rejects with what `resolveGlobalId` throws, and with
 * a RangeError for arguments that are nested thousands of levels deep, which Ruby could not read either.
 */
export async function readActiveJob(
  payload: Payload,
  options: ReadActiveJobOptions = {},
): Promise<ActiveJobData | undefined> {
  const jobClass = activeJobClass(payload);
  const raw = payload.raw("args");
  if (jobClass === undefined || raw === undefined) return undefined;
  const exact = jobData(parseExact(raw)) ?? {};
  const stored = list(jobData(parseWithFloats(raw))?.["arguments"]);
  return {
    jobClass,
    ...described(exact),
    arguments: await valuesOf(stored, options.resolveGlobalId),
    serializedArguments: list(exact["arguments"]),
  };
}

/* First a round that collects the names, so that all records can be asked for at once. */
async function valuesOf(stored: readonly unknown[], resolve: ResolveGlobalId | undefined): Promise<readonly unknown[]> {
  const named = new Map<string, GlobalId>();
  const values = deserialize(stored, (id) => {
    named.set(id.uri, id);
    return id;
  });
  if (!resolve || named.size === 0) return values as unknown[];
  const found = await Promise.all([...named.values()].map(async (id) => [id.uri, await resolve(id)] as const));
  const records = new Map(found);
  return deserialize(stored, (id) => records.get(id.uri)) as unknown[];
}

function described(job: Json): Omit<ActiveJobData, "jobClass" | "arguments" | "serializedArguments"> {
  const priority = job["priority"];
  const executions = job["executions"];
  return {
    jobId: text(job["job_id"]),
    queue: text(job["queue_name"]),
    priority: typeof priority === "number" ? priority : undefined,
    executions: typeof executions === "number" ? executions : 0,
    exceptionExecutions: isObject(job["exception_executions"]) ? job["exception_executions"] : {},
    locale: text(job["locale"]),
    timezone: text(job["timezone"]),
    enqueuedAt: time(job["enqueued_at"]),
    scheduledAt: time(job["scheduled_at"]),
  };
}

function jobData(args: unknown): Json | undefined {
  const first: unknown = Array.isArray(args) ? args[0] : undefined;
  return isObject(first) ? first : undefined;
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/* Rails 5 wrote seconds as a number. */
function time(value: unknown): Date | undefined {
  const at = typeof value === "number" ? new Date(value * 1_000) : new Date(text(value) ?? Number.NaN);
  return Number.isNaN(at.getTime()) ? undefined : at;
}
