export interface RedisOptions {
  /** More arguments for the server, such as `["--appendonly", "yes"]`. They win over our defaults. */
  args?: readonly string[];
  /** Always a private server, even when REDIS_URL is set. Implied by any other option. */
  own?: boolean;
  /** Default: a free one. */
  port?: number;
  /** Kept when the server stops. Default: a temporary directory that is removed with the server. */
  dir?: string;
}

export interface RedisHandle {
  readonly url: string;
  readonly port: number;
  /** Whether this is our private server. On any other one, stop() does nothing and the verbs below reject. */
  readonly owned: boolean;
  /** Of the running server; changes with restart(). 0 when not owned. */
  readonly pid: number;
  /** "" when not owned. */
  readonly dir: string;
  /** Idempotent. Removes the temporary directory. */
  stop(): Promise<void>;
  /** Default SIGKILL. Resolves once the process is gone, for signals that end it. restart() brings it back. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Same port and directory. `wipe` removes what was persisted; without persistence all data is gone anyway. */
  restart(options?: { wipe?: boolean }): Promise<void>;
  /** SIGSTOP: connections stay open, nothing is answered. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/**
 * Starts a private server and resolves when it answers. When REDIS_URL is set and no option is given,
 * resolves to that server instead: use key prefixes of your own there, and never flush it.
 */
export function startRedis(options?: RedisOptions): Promise<RedisHandle>;

/** Path of `redis-server` or `valkey-server` on PATH. */
export function findRedisServer(): string | undefined;

/** Like findRedisServer, but installs it first where apt can (Debian or Ubuntu, as root); else throws how to. */
export function ensureRedisServer(): Promise<string>;
