/* Scripts on the user's own client of redis 3.x: by their hash, and whole when the server does not know them (any more).
 * What is given up may still be sent later; each script compares first, and a fetch is barred before it is forgotten. */
import { createHash } from "node:crypto";
import { withinDeadline } from "@assured-jobs/core/adapter-kit";
import type { NativeClient } from "./native.ts";

/** One Lua script. */
export interface Script {
  readonly name: string;
  /** How many of the arguments are keys. */
  readonly keys: number;
  readonly lua: string;
}

export type Argument = string | number;

const hashes = new WeakMap<Script, string>();

/** Keys first, then arguments, as the script's head says. Rejects with ERR_QUEUE_UNREACHABLE after five seconds. */
export const runScript = (
  queue: string,
  client: NativeClient,
  script: Script,
  args: readonly Argument[],
): Promise<unknown> => withinDeadline(queue, evaluate(client, script, args));

/** One command, without a deadline. In lower case: so the client knows which arguments are keys. */
export const send = (client: NativeClient, command: string, args: readonly Argument[]): Promise<unknown> =>
  new Promise((resolve, reject) => {
    client.send_command(command, args, (error, value) => (error ? reject(error) : resolve(value)));
  });

async function evaluate(client: NativeClient, script: Script, args: readonly Argument[]): Promise<unknown> {
  try {
    return await send(client, "evalsha", [hashOf(script), script.keys, ...args]);
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    return send(client, "eval", [script.lua, script.keys, ...args]);
  }
}

function hashOf(script: Script): string {
  let hash = hashes.get(script);
  if (hash === undefined) {
    hash = createHash("sha1").update(script.lua).digest("hex");
    hashes.set(script, hash);
  }
  return hash;
}

export const isUnknownScript = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith("NOSCRIPT");
