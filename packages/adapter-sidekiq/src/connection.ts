/* A connection to Sidekiq's Redis that never lies about the present: a command fails when it is not answered, and is
 * never sent twice. Whoever asked decides on fresh facts, and everything that is asked again compares first. */
import { AssuranceError } from "@assured-jobs/core";
import type { StoreConnection } from "@assured-jobs/core";
import { connectionOf, createClient, reasonOf } from "@assured-jobs/core/adapter-kit";
import type { Socket } from "node:net";
import type { Redis } from "ioredis";
import { refusal } from "./refusal.ts";

/** `redis://host:port/db`, options of ioredis (Sentinel included), or a client of ioredis whose options are used. */
export type RedisOption = string | Readonly<Record<string, unknown>> | Redis;

/** One Lua script. */
export interface Script {
  readonly name: string;
  /** How many of the arguments are keys. Undefined: the first argument says it. */
  readonly keys: number | undefined;
  readonly lua: string;
}

export type Argument = string | number | Buffer;

/** How long a command waits for a connection that is not there, ms. */
const PATIENCE = 5_000;
const POLL = 20;
/** ioredis, of a command that was not answered in time. */
const TIMED_OUT = "Command timed out";

/** Plain data where possible. Throws ERR_OPTION, naming `option`, for what names no server and for a Cluster. */
export function targetOf(redis: RedisOption | undefined, option: string): StoreConnection {
  const target = described(redis, option);
  if (target.kind === "cluster")
    throw refusal(option, "one server, or Sentinels (Sidekiq cannot run on a Cluster)", "a Cluster");
  if (target.options["keyPrefix"])
    throw refusal(option, "no keyPrefix (use the option prefix)", target.options["keyPrefix"]);
  return target;
}

function described(redis: RedisOption | undefined, option: string): StoreConnection {
  const expected = "a redis:// URL, options of ioredis that name a server, or a client of ioredis";
  if (typeof redis !== "string" && (typeof redis !== "object" || redis === null))
    throw refusal(option, expected, redis);
  try {
    const target = connectionOf(sourceOf(redis));
    if (target) return target;
  } catch (error) {
    throw refusal(option, expected, reasonOf(error));
  }
  throw refusal(option, expected, redis);
}

function sourceOf(redis: RedisOption): Parameters<typeof connectionOf>[0] {
  if (typeof redis === "string") return { url: redis };
  const isClient = Reflect.get(redis, "commandQueue") !== undefined || Reflect.get(redis, "isCluster") === true;
  return isClient ? { client: redis } : { connection: redis as Readonly<Record<string, unknown>> };
}

type Scripted = Record<string, (...args: Argument[]) => Promise<unknown>>;

export class Connection {
  readonly #client: Redis;
  readonly #defined = new Set<string>();
  #atTurnsEnd: (() => void)[] = [];
  #lastInTurn: (() => void)[] = [];
  #lastError = "it was never connected";
  #isClosed = false;

  /** `name` is what CLIENT LIST shows. Connects at the first command. */
  constructor(target: StoreConnection, name: string) {
    this.#client = createClient(target, name) as Redis;
    this.#client.on("error", (error) => (this.#lastError = reasonOf(error)));
  }

  /** One command. Rejects with ERR_QUEUE_UNREACHABLE when the server does not answer. */
  call(command: string, ...args: Argument[]): Promise<unknown> {
    return this.#ask(() => this.#client.call(command, ...args));
  }

  /** Keys first, then arguments, as the script's head says. */
  run(script: Script, args: readonly Argument[]): Promise<unknown> {
    return this.#run(script, "", args);
  }

  /** The same, for an answer that may be no text: Buffers in place of strings. */
  runForBytes(script: Script, args: readonly Argument[]): Promise<unknown> {
    return this.#run(script, "Buffer", args);
  }

  /**
   * Calls `send`, which must not throw, at the end of this turn of the event loop. What is sent there goes out in one
   * write: the ends of runs, and the fetch for the slots that they free.
   */
  atTurnsEnd(send: () => void): void {
    this.#endOfTurn();
    this.#atTurnsEnd.push(send);
  }

  /** The same, behind all of those. */
  lastInTurn(send: () => void): void {
    this.#endOfTurn();
    this.#lastInTurn.push(send);
  }

  /** The server's clock, ms since 1970. */
  async now(): Promise<number> {
    const [seconds, micros] = (await this.call("TIME")) as [string, string];
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Ends what is on its way; nothing connects again. */
  close(): void {
    this.#isClosed = true;
    this.#client.disconnect();
  }

  /** Disconnects until the next command. */
  rest(): void {
    this.#client.disconnect();
  }

  #endOfTurn(): void {
    if (this.#atTurnsEnd.length + this.#lastInTurn.length === 0) setImmediate(() => this.#endTurn());
  }

  /* Each of them sends at once, unless the connection is away. */
  #endTurn(): void {
    const { stream } = this.#client as unknown as { stream: Socket | undefined };
    stream?.cork();
    try {
      for (const send of [...this.#atTurnsEnd.splice(0), ...this.#lastInTurn.splice(0)]) send();
    } finally {
      stream?.uncork();
    }
  }

  #run(script: Script, form: "" | "Buffer", args: readonly Argument[]): Promise<unknown> {
    return this.#ask(() => {
      if (!this.#defined.has(script.name)) this.#define(script);
      return (this.#client as unknown as Scripted)[`assured:${script.name}${form}`]!(...args);
    });
  }

  #define({ name, keys, lua }: Script): void {
    this.#defined.add(name);
    this.#client.defineCommand(`assured:${name}`, { lua, ...(keys === undefined ? {} : { numberOfKeys: keys }) });
  }

  async #connected(): Promise<void> {
    const isIdle = this.#client.status === "wait" || this.#client.status === "end";
    if (isIdle && !this.#isClosed) this.#client.connect().catch(() => {});
    const deadline = performance.now() + PATIENCE;
    while (this.#client.status !== "ready") {
      if (this.#isClosed) throw unreachable("the connection was closed here");
      if (performance.now() > deadline) throw unreachable(this.#lastError);
      await pause();
    }
  }

  /* What was refused before it was sent is tried again; anything else may have happened. What a gateway on the way has
   * forgotten never answers and never closes, while a new connection would work. */
  async #ask(send: () => Promise<unknown>): Promise<unknown> {
    for (const deadline = performance.now() + PATIENCE; ; await pause()) {
      if (this.#client.status !== "ready") await this.#connected();
      try {
        return await send();
      } catch (error) {
        if (isFromServer(error)) throw error;
        if (reasonOf(error) === TIMED_OUT && !this.#isClosed) this.#client.disconnect(true);
        if (isUnsent(error) && !this.#isClosed && performance.now() < deadline) continue;
        throw unreachable(reasonOf(error), error);
      }
    }
  }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, POLL));

/* ioredis, of a stream that has ended while its client does not know it yet. */
const isUnsent = (error: unknown): boolean => reasonOf(error).startsWith("Stream isn't writeable");

/* The server's own errors are answers: ioredis names them so. */
const isFromServer = (error: unknown): boolean => error instanceof Error && error.name === "ReplyError";

const unreachable = (why: string, cause?: unknown): AssuranceError =>
  new AssuranceError(
    "ERR_QUEUE_UNREACHABLE",
    `Sidekiq's Redis did not answer (${why}). What is in flight stays recorded there. Check the redis option and the server.`,
    { cause },
  );
