/* One run from its fetch until Redis has accepted or refused its end.
 *
 * The run is reported before its first instruction. A job that must not run here goes back as it came; one that nobody
 * can read goes to the dead set as it is, as Ruby does. A handler that fails because its run was given up has not failed:
 * on a handover the job goes back, otherwise nothing is written, since it is somebody else's by then.
 */
import { AssuranceError } from "@assured-jobs/core";
import type { AdapterHost, Run, RunControl } from "@assured-jobs/core";
import { reasonOf } from "@assured-jobs/core/adapter-kit";
import type { Connection } from "../connection.ts";
import { queueKey } from "../keys.ts";
import type { Keys } from "../keys.ts";
import { parseProof } from "../proof.ts";
import { giveBack, refreshed } from "../requeue.ts";
import { Payload } from "../wire/payload.ts";
import type { TimestampUnit } from "../wire/timestamps.ts";
import type { Ends } from "./ends.ts";
import type { Fetched } from "./fetch-calls.ts";
import type { End, EndKind } from "./finish-calls.ts";
import { through } from "./handlers.ts";
import type { DeathHandler, ServerMiddleware, SidekiqJobClass } from "./handlers.ts";
import { classOf, RunningJob } from "./job.ts";
import type { LiveRun, LiveRuns } from "./live-runs.ts";
import { fateOf } from "./retry.ts";

/** What a worker tells; see SidekiqWorker.on. */
export interface Telling {
  completed(job: RunningJob): void;
  failed(job: RunningJob, error: unknown, what: "retry" | "dead" | "drop"): void;
  refused(jid: string, jobClass: string, reason: string): void;
  error(error: unknown): void;
}

export interface ExecutorParts {
  readonly redis: Connection;
  readonly keys: Keys;
  readonly ends: Ends;
  readonly live: LiveRuns;
  readonly classes: ReadonlyMap<string, SidekiqJobClass>;
  readonly middleware: readonly ServerMiddleware[];
  readonly deathHandlers: readonly DeathHandler[];
  readonly format: () => { readonly unit: TimestampUnit; readonly sidekiq: number };
  readonly host: () => Pick<AdapterHost, "run" | "lost" | "warn">;
  readonly telling: Telling;
}

interface Job {
  readonly fetched: Fetched;
  readonly run: Run;
  readonly payload: Payload | undefined;
  readonly freed: () => void;
}

export class Executor {
  readonly #parts: ExecutorParts;

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
  }

  /** Begins a run; false when the job has to go back as it came. `freed` is called when its slot is free again. */
  start(fetched: Fetched, freed: () => void): boolean {
    const payload = Payload.parse(fetched.text);
    const job: Job = { fetched, payload, freed, run: this.#runOf(fetched, payload) };
    const refusal = payload && this.#refusalOf(payload, job.run.name);
    const work = refusal === undefined ? this.#execute(job) : this.#refuse(job, refusal);
    this.#parts.live.during(job.run, fetched, work, (failure) => {
      freed();
      if (failure) this.#parts.telling.error(failure.error);
    });
    return refusal === undefined;
  }

  #runOf({ queue, run, proof }: Fetched, payload: Payload | undefined): Run {
    const id = payload?.string("jid") ?? `run-${run}`;
    return { queue: queueKey(this.#parts.keys.prefix, queue), id, run, proof, name: payload && classOf(payload) };
  }

  #refusalOf(payload: Payload, name: string | undefined): string | undefined {
    if (payload.get("bid") !== undefined) return "it belongs to a batch of Sidekiq Pro, which only Ruby can count";
    if (payload.get("encrypt") === true) return "its last argument is encrypted by Sidekiq Enterprise";
    if (name === undefined || this.#parts.classes.has(name)) return undefined;
    return "no handler is registered for its class";
  }

  /* To the far end, so that it does not come again at once, and others that know it may come first. */
  async #refuse(job: Job, reason: string): Promise<void> {
    const { host, telling } = this.#parts;
    const name = job.run.name ?? "";
    telling.refused(job.run.id, name, reason);
    host().warn(
      `${job.run.queue} has jobs of class ${name} that this worker gives back: ${reason}. Let them have a queue of their own.`,
    );
    this.#heard(job, await this.#end(job, "back"));
  }

  #execute(job: Job): Promise<void> {
    const { live, host } = this.#parts;
    if (job.run.name === undefined || !Array.isArray(job.payload?.get("args"))) return this.#setAside(job);
    const former = live.of(job.run.id);
    return host().run(job.run, (control) => this.#admitted(job, control, former));
  }

  #admitted(job: Job, control: RunControl, former: LiveRun | undefined): Promise<void> {
    if (former) return former.work.catch(() => undefined).then(() => this.#admitted(job, control, undefined));
    if (control.givenUp) return this.#giveBack(job);
    return this.#perform(job, new RunningJob(job.payload!, job.fetched, control), control);
  }

  async #setAside(job: Job): Promise<void> {
    const { queue, id } = job.run;
    this.#heard(job, await this.#end(job, "junk"));
    this.#parts.host().warn(`${queue} held a job that nobody can read (${id}). It is in the dead set, as it was.`);
  }

  async #perform(job: Job, running: RunningJob, control: RunControl): Promise<void> {
    const { classes, middleware } = this.#parts;
    const jobClass = classes.get(job.run.name!)!;
    try {
      if (middleware.length === 0) await jobClass.perform(running);
      else await through(middleware, running, async () => void (await jobClass.perform(running)));
    } catch (error) {
      if (control.givenUp) return this.#afterGivenUp(job, control.givenUp);
      return this.#fail(job, { running, error, control });
    }
    job.freed();
    if (this.#heard(job, await this.#end(job, "done", control))) this.#parts.telling.completed(running);
  }

  async #fail(
    job: Job,
    { running, error, control }: { running: RunningJob; error: unknown; control: RunControl },
  ): Promise<void> {
    const { telling, format } = this.#parts;
    const jobClass = this.#parts.classes.get(job.run.name!);
    const fate = await fateOf(running, error, { ...format(), jobClass, tell: (thrown) => telling.error(thrown) });
    job.freed();
    const isAccepted = await this.#end(job, fate.kind, control, fate.kind === "drop" ? {} : fate);
    if (!this.#heard(job, isAccepted)) return;
    telling.failed(running, error, fate.kind);
    if (fate.kind !== "retry" && fate.isDead) await this.#mourn(running, error);
  }

  async #mourn(running: RunningJob, error: unknown): Promise<void> {
    for (const handler of this.#parts.deathHandlers) {
      try {
        await handler(running, error);
      } catch (thrown) {
        this.#parts.telling.error(thrown);
      }
    }
  }

  /* Resolves to false when the queue refused it. What every job goes through makes no promise that it can do without. */
  #end(
    { run, fetched: { queue } }: Job,
    kind: EndKind,
    control?: RunControl,
    { delay, text }: { readonly delay?: number; readonly text?: string } = {},
  ): Promise<boolean> {
    const { ends, live } = this.#parts;
    live.ending(run);
    const end: End = { queue, proof: run.proof, kind, delay, text };
    return ends.send(end, () => control?.givenUp !== undefined);
  }

  #heard({ run }: Job, isAccepted: boolean): boolean {
    if (!isAccepted) this.#parts.host().lost(run, "its job was given back meanwhile, or was ended by another run");
    return isAccepted;
  }

  async #afterGivenUp(job: Job, reason: Error): Promise<void> {
    const isHandover = reason instanceof AssuranceError && reason.code === "ERR_HANDOVER";
    if (isHandover) return this.#giveBack(job);
    this.#parts.live.ending(job.run); // a beat may have put it back into Sidekiq's books after it was given away
    await this.#offTheBooks(job.run).catch((thrown: unknown) => this.#parts.telling.error(thrown));
  }

  async #offTheBooks({ proof, run }: Run): Promise<void> {
    const { redis, keys } = this.#parts;
    if (redis.isClosed) return; // its process has left them as a whole
    const { identity } = parseProof(proof)!;
    await redis.call("HDEL", keys.work(identity), run);
    await redis.call("HDEL", keys.workers(identity), run);
  }

  /* Refused or failed: then somebody else has it, or will find it with its holder. */
  async #giveBack({ fetched, payload, run }: Job): Promise<void> {
    const { redis, keys, host, format } = this.#parts;
    try {
      const text = refreshed({ text: fetched.text, payload }, fetched.queue, format().unit);
      await giveBack({ redis, keys }, fetched.queue, run.proof, text);
    } catch (error) {
      host().warn(
        `Job ${run.id} of ${run.queue} could not be given back (${reasonOf(error)}): the other processes will find it.`,
      );
    }
  }
}
