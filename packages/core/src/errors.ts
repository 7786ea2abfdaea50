/** Stable codes: match on these, never on a message. */
export type AssuranceErrorCode =
  | "ERR_OPTION" // an option is wrong: the message names it, what was expected and what was given
  | "ERR_STORE_MISSING" // no store was given and none can be derived from the adapters
  | "ERR_STORE_UNREACHABLE" // the store does not answer
  | "ERR_STORE_UNSUITED" // the server is too old, or something it must do is missing
  | "ERR_STORE_FORBIDDEN" // the store's user lacks a permission
  | "ERR_STORE_FOREIGN_DATA" // a key of ours holds something we did not write
  | "ERR_QUEUE_UNREACHABLE" // the queue's own store did not answer in time
  | "ERR_QUEUE_UNSUPPORTED" // a queue object, version or backend that an adapter cannot take
  | "ERR_STATE" // called at the wrong time, e.g. start() after stop()
  | "ERR_FENCED" // this run, or this incarnation, was given up and its job given away
  | "ERR_HANDOVER" // the process is leaving: the run's job goes back to its queue
  | "ERR_ACTION_REFUSED"; // a manual action whose precondition no longer holds

/** The one error class of Assured Jobs. `code` is stable; the message says what happened, why, and what to do. */
export class AssuranceError extends Error {
  readonly code: AssuranceErrorCode;

  constructor(code: AssuranceErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "AssuranceError";
    this.code = code;
  }
}

/** What to print of something that was thrown, whatever it is. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The store cannot be used now, and may be again later. */
export const isPassing = (error: unknown): boolean =>
  error instanceof AssuranceError && error.code === "ERR_STORE_UNREACHABLE";
