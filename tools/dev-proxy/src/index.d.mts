/** `requests` go to the server, `replies` come from it. */
export type Direction = "requests" | "replies";

export interface ProxyOptions {
  /** Port of the server, on this machine. */
  readonly target: number;
}

export interface ProxyHandle {
  readonly port: number;
  /** `redis://127.0.0.1:<port>` */
  readonly url: string;
  /** How many are open now. */
  readonly connections: number;
  /** All connections close, new ones are refused. */
  cut(): Promise<void>;
  /** Ends everything below and cut(). A connection that has lost something is reset: a stream with a hole cannot go on. */
  mend(): Promise<void>;
  /** Nothing passes and nobody is told, not even that the other end is gone. Default: in both directions. */
  freeze(direction?: Direction): void;
  /** What was held back passes now. */
  thaw(): void;
  /** What goes this way vanishes; the other way is open. */
  lose(direction: Direction): void;
  /** As a gateway that forgot them: connections that are open now pass nothing any more and nobody is told. New ones work. */
  forget(): void;
  /** Each packet comes later by so many ms, and by up to `jitter` more. The order is kept. 0: no longer. */
  delay(ms: number, jitter?: number): void;
  /** Every packet comes in pieces of so many bytes. 0: no longer. */
  tear(bytes: number): void;
  /** Each connection that is open now is reset after so many more bytes of replies. */
  breakOff(bytes: number): void;
  /** All connections are reset (RST); new ones may come at once. */
  reset(): void;
  /** The end: cut() for good. */
  stop(): Promise<void>;
}

/** Opens a path to the server. Resolves when it takes connections. */
export function startProxy(options: ProxyOptions): Promise<ProxyHandle>;
