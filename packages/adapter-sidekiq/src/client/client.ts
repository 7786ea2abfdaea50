/* Sidekiq's client: makes jobs that workers of Ruby (Sidekiq 6, 7, 8) and of Node run.
 *
 * A job is checked whole before anything is sent, and stored with its queue's name in one step. Any version can read what
 * is written with the defaults.
 */
import { AssuranceError } from "@assured-jobs/core";
import { Connection } from "../connection.ts";
import { keysWith } from "../keys.ts";
import type { Keys } from "../keys.ts";
import { versionsBeside } from "../sidekiq-version.ts";
import type { SidekiqVersion } from "../worker/options.ts";
import { bulkSlices } from "./bulk.ts";
import { draftOf } from "./draft.ts";
import type { Draft } from "./draft.ts";
import { encode } from "./encode.ts";
import { storeThrough } from "./middleware.ts";
import { readOptions } from "./options.ts";
import type { ClientSettings, SidekiqClientOptions } from "./options.ts";
import { refusal } from "../refusal.ts";
import { JobStore } from "./store.ts";
import type { SidekiqBulkInput, SidekiqJobInput, SidekiqTime } from "./types.ts";

/** Jobs of one step into Redis, as in Ruby. */
const SLICE = 1_000;

/** Pushes jobs in Sidekiq's wire format. It has one connection of its own, opened by its first command. */
export class SidekiqClient {
  readonly #settings: ClientSettings;
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #store: JobStore;
  readonly #underWay = new Set<Promise<unknown>>();
  #version: SidekiqVersion | undefined;
  #isClosed = false;

  /** @throws AssuranceError ERR_OPTION: option, expected, got. */
  constructor(options: SidekiqClientOptions) {
    this.#settings = readOptions(options);
    this.#version = this.#settings.sidekiq;
    this.#keys = keysWith(this.#settings.prefix);
    this.#connection = new Connection(this.#settings.target, "assured-jobs:client");
    this.#store = new JobStore(this.#connection, this.#keys);
  }

  /**
   * Puts one job into its queue, or into the schedule when it has an `at` to come. Resolves to its jid once Redis has it;
   * to undefined when a middleware stopped it.
   *
   * @throws AssuranceError ERR_OPTION when the job is wrong; ERR_QUEUE_UNREACHABLE when Redis did not answer: then the job
   * may or may not be there.
   */
  push(job: SidekiqJobInput): Promise<string | undefined> {
    return this.#during(async () => (await this.#add([draftOf(job, Date.now())]))[0]);
  }

  /**
   * Puts many jobs of one class, 1,000 at a time, in their order. Resolves to their jids, undefined where a middleware
   * stopped one. When it rejects with an AssuranceError, its message says how many jobs of earlier slices went through.
   */
  pushBulk(jobs: SidekiqBulkInput): Promise<(string | undefined)[]> {
    return this.#during(async () => {
      const jids: (string | undefined)[] = [];
      for (const slice of bulkSlices(jobs, SLICE, Date.now())) {
        const added = this.#add(slice).catch((error: unknown) => Promise.reject(after(jids.length, error)));
        jids.push(...(await added));
      }
      return jids;
    });
  }

  /** The job in so many seconds. As in Ruby, 1,000,000,000 and more is a time since 1970; what is past is pushed at once. */
  performIn(seconds: number, job: SidekiqJobInput): Promise<string | undefined> {
    return this.performAt(seconds, job);
  }

  /** The job at a Date or at seconds since 1970. As in Ruby, a number below 1,000,000,000 counts from now. */
  async performAt(at: SidekiqTime, job: SidekiqJobInput): Promise<string | undefined> {
    if (at === undefined) throw refusal("at", "a Date or finite seconds", at);
    return this.push({ ...job, at });
  }

  /**
   * The Ruby side's version: the option, else the oldest that runs when it is first found, else 7. Of use for `activeJob()`;
   * what this client writes with its defaults needs none.
   */
  async version(): Promise<SidekiqVersion> {
    this.#version ??= await this.#during(async () => oldest(await versionsBeside(this.#connection, this.#keys)));
    return this.#version ?? 7;
  }

  /** Waits for what is under way, then closes the connection. Whatever is pushed later rejects with ERR_STATE. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
    this.#connection.close();
  }

  /** `await using` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #add(drafts: readonly Draft[]): Promise<(string | undefined)[]> {
    const store = (jobs: readonly Draft[]): Promise<void> =>
      this.#store.add(jobs.map((job) => encode(job, this.#settings, Date.now())));
    const stored = await storeThrough(this.#settings.middleware, drafts, store);
    return drafts.map((draft) => (stored.has(draft) ? draft.jid : undefined));
  }

  async #during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new AssuranceError("ERR_STATE", "This SidekiqClient was closed; make another one.");
    const underWay = work();
    this.#underWay.add(underWay);
    try {
      return await underWay;
    } finally {
      this.#underWay.delete(underWay);
    }
  }
}

/* Undefined when none runs. */
const oldest = (versions: readonly number[]): SidekiqVersion | undefined =>
  versions.length === 0 ? undefined : (Math.min(Math.max(Math.min(...versions), 6), 8) as SidekiqVersion);

/* What a middleware threw is passed on as it is. */
function after(done: number, error: unknown): unknown {
  if (done === 0 || !(error instanceof AssuranceError)) return error;
  const message = `The first ${done} jobs went through; then: ${error.message}`;
  return new AssuranceError(error.code, message, { cause: error });
}
